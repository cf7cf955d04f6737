// The client on one gateway with the embedded broker, directly and through a
// link that the test cuts.
import { args, ask, assert, backend, load, reaches, record, refusal, run, until } from './lib.mjs';

const { connect, GatewayError } = await load();

const quick = { minDelay: 20, maxDelay: 200 };
const numbers = (seen) => seen.map(([, n]) => n);
const upTo = (n, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => i + from);

async function cut(client) {
  const noticed = new Promise((done) => { client.once('state', done); });
  await ask('cut');
  await noticed;
}

await run(connect, {
  async 'a user and a guest talk'(open) {
    const ann = open(args.ws, { ...quick, token: 'ann' });
    const guest = open(args.ws, quick);
    const heard = record(guest.room('lobby'));
    await guest.room('lobby').joined;
    const position = await ann.room('lobby').publish('chat', { text: 'hello' });
    assert.equal(position.offset, 1);
    await until('the guest hears it', () => heard.length === 1);
    assert.deepEqual(heard[0], ['chat', { text: 'hello' }, { room: 'lobby', ...position }]);
    assert.equal(ann.identity.userId, 'ann');
    assert.match(guest.identity.userId, /^guest-/);
    assert.deepEqual((await ann.room('lobby').members()).sort(), ['ann', guest.identity.userId].sort());
    assert.equal((await ann.room('lobby').history()).publications.length, 1);
    await until('each has a room of its own', () => guest.user && ann.user);
    assert.equal(guest.user.name, `user:${guest.identity.userId}`);
    assert.equal(ann.room('user:ann'), ann.user);
    assert.equal(ann.room('typing:1').send('typing', 1), false, 'it is not joined yet');
    await ann.room('typing:1').joined;
    const typing = record(ann.room('typing:1'));
    assert.equal(ann.room('typing:1').send('typing', 1, { echo: true }), true);
    await until('it is sent', () => typing.length === 1);
  },

  async 'what is not for this connection leaves no hole'(open) {
    const ann = open(args.ws, { ...quick, token: 'ann' });
    const bob = open(args.ws, { ...quick, token: 'bob' });
    const room = ann.room('echo');
    const joins = record(room);
    let joined = 0;
    room.on('room_joined', () => joined++);
    await Promise.all([room.joined, bob.room('echo').joined]);
    for (let n = 1; n <= 20; n++) {
      await room.publish('n', -n, { echo: false });
      await bob.room('echo').publish('n', n);
      await backend('publish', { room: 'echo', event: 'n', data: -n, except: [ann.identity.connectionId] });
    }
    await backend('publish', { room: 'echo', event: 'n', data: 21 });
    await until('all of the others is heard', () => joins.length >= 21);
    assert.deepEqual(numbers(joins), upTo(21));
    assert.equal(joined, 1, 'nothing is joined anew');
  },

  async 'what is published while the link is cut again and again is stored once, in order'(open) {
    const ann = open(args.link, { ...quick, token: 'ann' });
    const bob = open(args.ws, { ...quick, token: 'bob' });
    const heard = record(bob.room('cuts'));
    const own = record(ann.room('cuts'));
    const gaps = [];
    ann.room('cuts').on('gap', (gap) => gaps.push(gap));
    await Promise.all([bob.room('cuts').joined, ann.room('cuts').joined]);
    const published = [];
    for (let n = 1; n <= 200; n++) {
      published.push(ann.room('cuts').publish('n', n));
      if (n % 40 === 0) await ask('cut');
      else if (n % 10 === 0) await published.at(-1);
    }
    const positions = await Promise.all(published);
    assert.deepEqual(positions.map(({ offset }) => offset), upTo(200));
    await until('both have all', () => heard.length >= 200 && own.length >= 200);
    assert.deepEqual(numbers(heard), upTo(200));
    assert.deepEqual(numbers(own), upTo(200));
    assert.deepEqual(gaps, []);
    assert.deepEqual(ann.room('cuts').position, positions.at(-1).pos);
  },

  async 'a position that was kept goes on where it was, in another client too'(open) {
    const ann = open(args.ws, { ...quick, token: 'ann' });
    for (let n = 1; n <= 5; n++) await ann.room('kept').publish('n', n);
    await until('all is heard', () => ann.room('kept').position !== undefined);
    const { publications } = await ann.room('kept').history();
    const bob = open(args.ws, { ...quick, token: 'bob' });
    await reaches(bob, 'open');
    const room = bob.room('kept').resume(publications[1].pos);
    const seen = record(room);
    const recovered = [];
    room.on('room_joined', (joined) => recovered.push(joined.recovered));
    await until('the rest is heard', () => seen.length === 3);
    assert.deepEqual([numbers(seen), recovered], [[3, 4, 5], [true]]);
    assert.throws(() => room.resume('x'), /has begun/);
    const wrong = bob.room('kept2').resume('no position');
    assert.equal((await refusal(wrong.joined)).code, 'invalid_message');
  },

  async 'what is too much to be sent at once is read from the history, while more is published'(open) {
    const ann = open(args.link, { ...quick, token: 'ann' });
    const room = ann.room('far');
    const seen = record(room);
    const told = [];
    room.on('gap', (gap) => told.push(gap));
    room.on('room_joined', ({ recovered }) => told.push(recovered));
    await room.joined;
    await backend('publish', { room: 'far', event: 'n', data: { n: 1 } });
    await until('one is heard', () => seen.length === 1);
    await ask('refuse');
    const text = 'x'.repeat(2000);
    const batch = (from) => backend('publish/batch', {
      publications: upTo(from + 199, from).map((n) => ({ room: 'far', event: 'n', data: { n, text } })),
    });
    for (const from of [2, 202, 402]) await batch(from);
    const mine = room.publish('n', { n: 0 });
    await ask('heal');
    let n = 602;
    while (told.length < 2) {
      await backend('publish', { room: 'far', event: 'n', data: { n: n++ } });
    }
    await backend('publish', { room: 'far', event: 'n', data: { n } });
    const { offset } = await mine;
    await until('all is heard', () => seen.some(([, data]) => data.n === n));
    assert.deepEqual(seen.map(([, , meta]) => meta.offset), upTo(n + 1));
    assert.deepEqual(seen.map(([, data]) => data.n), [...upTo(offset - 1), 0, ...upTo(n, offset)]);
    assert.deepEqual(told, [false, true], 'a first join, and one that recovered');
  },

  async 'what the history has no more is told as a gap'(open) {
    const ann = open(args.link, { ...quick, token: 'ann' });
    const room = ann.room('short:1');
    const seen = record(room);
    const gaps = [];
    room.on('gap', (gap) => gaps.push(gap));
    await room.joined;
    await backend('publish', { room: 'short:1', event: 'n', data: 1 });
    await until('one is heard', () => seen.length === 1);
    await ask('refuse');
    for (let n = 2; n <= 10; n++) await backend('publish', { room: 'short:1', event: 'n', data: n });
    await ask('heal');
    await until('a gap is told', () => gaps.length === 1);
    assert.deepEqual([gaps[0].reason, gaps[0].from, gaps[0].offset], ['trimmed', 1, 10]);
    await backend('publish', { room: 'short:1', event: 'n', data: 11 });
    await until('it goes on', () => seen.length === 2);
    assert.deepEqual(numbers(seen), [1, 11]);
  },

  async 'a loop reads a room until it ends'(open) {
    const ann = open(args.ws, { ...quick, token: 'ann' });
    const room = ann.room('loop');
    const seen = [];
    const loop = (async () => {
      for await (const { event, data, offset } of room) {
        seen.push([event, data, offset]);
        if (data === 3) break;
      }
      for await (const { data } of room) seen.push(data);
      return 'ended';
    })();
    for (let n = 1; n <= 3; n++) await room.publish('n', n);
    await until('the first loop ends', () => seen.length === 3);
    await room.publish('n', 4);
    await until('the second loop reads', () => seen.length === 4);
    await room.leave();
    assert.equal(await loop, 'ended');
    assert.deepEqual(seen, [['n', 1, 1], ['n', 2, 2], ['n', 3, 3], 4]);
    assert.equal((await refusal(room.publish('n', 5))).code, 'closed');
    const again = record(ann.room('loop'));
    await ann.room('loop').publish('n', 5);
    await until('it is heard', () => again.length === 1);
  },

  async 'what the gateway refuses is an error with its code'(open) {
    const ann = open(args.ws, { ...quick, token: 'ann' });
    await reaches(ann, 'open');
    const unknown = await refusal(ann.request('nothing:here', 1));
    assert.ok(unknown instanceof GatewayError);
    assert.deepEqual([unknown.code, unknown.retryable], ['unknown_event', false]);
    const deal = ann.room('deal:1');
    const errors = [];
    deal.on('error', (err) => errors.push(err.code));
    const waiting = refusal(deal.publish('n', 1));
    assert.equal((await refusal(deal.joined)).code, 'forbidden');
    assert.equal((await waiting).code, 'forbidden');
    assert.deepEqual(errors, ['forbidden']);
    assert.equal((await refusal(ann.room('lobby').publish('gap', 1))).code, 'forbidden');
    await ann.room('lobby').publish('n', 1, { idempotencyKey: 'one' });
    assert.equal((await refusal(ann.room('lobby').publish('n', 2, { idempotencyKey: 'one' }))).code, 'conflict');
    assert.equal((await refusal(ann.user.leave())).code, 'forbidden');
    await ann.user.publish('n', 1);
  },

  async 'a backend puts the client into a room, takes it out, and sends to it alone'(open) {
    const ann = open(args.link, { ...quick, token: 'ann' });
    const rooms = [];
    const events = [];
    ann.on('room', (room) => rooms.push([room.name, record(room), room]));
    ann.on('event', ({ event, data }) => events.push([event, data]));
    await until('its own room is told', () => rooms.length === 1);
    assert.equal(rooms[0][0], 'user:ann');
    await backend('subscribe', { user: 'ann', room: 'shared' });
    await until('the room is told', () => rooms.length === 2);
    await cut(ann);
    await backend('publish', { room: 'shared', event: 'n', data: 1 });
    await backend('publish', { user: 'ann', event: 'n', data: 2 });
    await until('what was missed comes', () => rooms[1][1].length === 1 && rooms[0][1].length === 1);
    await backend('publish', { connection: ann.identity.connectionId, event: 'alone', data: 3 });
    await backend('publish', { everyone: true, event: 'all', data: 4 });
    await until('both are told', () => events.length === 2);
    assert.deepEqual(events, [['alone', 3], ['all', 4]]);
    const left = [];
    rooms[1][2].on('room_left', (reason) => left.push(reason));
    await backend('unsubscribe', { user: 'ann', room: 'shared' });
    await until('the end is told', () => left.length === 1);
    assert.deepEqual(left, ['removed']);
    assert.equal((await refusal(rooms[1][2].publish('n', 1))).code, 'closed');
  },

  async 'a guest that loses its connection comes back as another'(open) {
    const guest = open(args.link, quick);
    const room = guest.room('lobby');
    await room.joined;
    const before = guest.identity.userId;
    const first = await until('it has a room', () => guest.user);
    await cut(guest);
    const done = room.publish('n', 1); // not under way yet: it is not lost
    await reaches(guest, 'open');
    await done;
    assert.notEqual(guest.identity.userId, before);
    await until('its room is another', () => guest.user !== first && guest.user);
    assert.equal((await refusal(first.publish('n', 1))).code, 'closed');
  },

  async 'a guest that has joined nothing becomes a user on the same connection'(open) {
    let token;
    const client = open(args.ws, { ...quick, token: () => token });
    await until('the guest has a room', () => client.user);
    const [{ connectionId }, guest] = [client.identity, client.user];
    token = 'ann';
    await client.refresh();
    await until('the user has a room', () => client.user?.name === 'user:ann');
    assert.deepEqual([client.identity.connectionId, client.identity.userId], [connectionId, 'ann']);
    assert.equal((await refusal(guest.publish('n', 1))).code, 'closed');
    await client.room('lobby').publish('n', 1);
  },

  async 'a gateway that drains is left and found again'(open) {
    const ann = open(args.ws, { ...quick, token: 'ann' });
    const codes = [];
    ann.on('state', (state, { code }) => { if (state === 'waiting') codes.push(code); });
    const gaps = [];
    const room = ann.room('drained');
    const seen = record(room);
    room.on('gap', (gap) => gaps.push(gap));
    await room.publish('n', 1);
    await ask('drain');
    const waiting = room.publish('n', 2);
    await ask('start');
    await waiting;
    assert.equal(codes[0], 1012);
    await until('it goes on', () => seen.length === 2);
    assert.deepEqual(numbers(seen), [1, 2]);
    assert.deepEqual(gaps.map(({ reason }) => reason), ['epoch_changed'], 'the embedded broker ends with its process');
  },

  async 'a gateway that is killed is found again, and what it forgot is told'(open) {
    const ann = open(args.ws, { ...quick, token: 'ann' });
    const told = [];
    const room = ann.room('killed');
    room.on('n', (n, { offset }) => told.push([n, offset]));
    room.on('gap', ({ reason, from, offset }) => told.push([reason, from, offset]));
    await room.publish('n', 1);
    await room.publish('n', 2);
    await ask('kill');
    await until('it is noticed', () => ann.state !== 'open'); // and does not come back
    const waiting = room.publish('n', 3);
    await ask('start');
    assert.equal((await waiting).offset, 1);
    await until('it goes on', () => told.length === 4);
    assert.deepEqual(told, [[1, 1], [2, 2], ['epoch_changed', 2, 0], [3, 1]]);
  },

  async 'who is disconnected by a backend stays away'(open) {
    const ann = open(args.ws, { ...quick, token: () => 'ann' });
    const ends = [];
    ann.on('state', (state, { code }) => ends.push([state, code]));
    await reaches(ann, 'open');
    await backend('disconnect', { user: 'ann' });
    await reaches(ann, 'closed');
    assert.deepEqual(ends.at(-1), ['closed', 4003]);
  },
});
