// What a gateway does seldom, or never at the same moment twice: here it is
// played, by a WebSocket that says what a case wants. Everything else is shown
// on the real gateway.
import { args, assert, load, reaches, record, refusal, run, sleep, timers, until } from './lib.mjs';

const { connect } = await load();

// A gateway that is played: sockets are all that were opened, in their order.
function play(reply = {}) {
  const sockets = [];
  class Socket {
    readyState = 0;
    sent = [];
    constructor(url, protocols) {
      Object.assign(this, { url, protocols });
      sockets.push(this);
    }
    send(text) {
      const message = JSON.parse(text);
      this.sent.push(message);
      const answer = reply[message.event]?.(message.data, message, this);
      if (answer) queueMicrotask(() => this.say({ id: message.id, ...answer }));
    }
    close() { this.readyState = 3; }
    /** The gateway says something: all in one turn, as messages in one packet come. */
    say(...messages) {
      for (const message of messages) this.onmessage?.({ data: JSON.stringify(message) });
    }
    welcome(userId = 'ann', more = {}) {
      this.readyState = 1;
      this.say({ event: 'connected', data: { connectionId: 'c', userId, instance: 'i', heartbeatMs: 0, ...more } });
    }
    end(code, reason = '') {
      this.readyState = 3;
      this.onclose?.({ code, reason });
    }
    asked(event) { return this.sent.filter((message) => message.event === event); }
  }
  const opened = (n) => until(`there are ${n} connections`, () => sockets.length >= n && sockets[n - 1]);
  return { sockets, opened, options: { WebSocket: Socket, minDelay: 1, maxDelay: 4 } };
}

const joined = (room, offset = 0, more = {}) => ({
  event: 'room_joined', data: { room, offset, pos: `e.${offset}`, recovered: false, ...more },
});
const publication = (room, offset, event = 'n') => ({ event, room, offset, pos: `e.${offset}`, data: offset });
const agrees = { join_room: ({ room, since }) => joined(room, since ? Number(since.split('.')[1]) : 0, { recovered: since !== undefined }) };
const turns = () => sleep(20);

// Chance as it is at its worst: every wait is as long as it may be.
async function unlucky(test) {
  const { random } = Math;
  Math.random = () => 1;
  try {
    await test();
  } finally {
    Math.random = random;
  }
}

await run(connect, {
  async 'what follows a reply in the same packet is not lost'(open) {
    const gateway = play();
    const client = open('ws://gateway/ws', gateway.options);
    const seen = record(client.room('a'));
    const socket = await gateway.opened(1);
    socket.welcome();
    await until('the room is asked for', () => socket.asked('join_room').length === 1);
    socket.say({ id: socket.sent[0].id, ...joined('a', 4) }, publication('a', 5), publication('a', 5), publication('a', 6));
    assert.deepEqual(seen.filter(([event]) => event === 'n').map(([, n]) => n), [5, 6]);
  },

  async 'a position that was kept is used in a connection that is open'(open) {
    const gateway = play();
    const client = open('ws://gateway/ws', gateway.options);
    (await gateway.opened(1)).welcome();
    client.room('a').resume('e.7');
    await turns();
    assert.deepEqual(gateway.sockets[0].asked('join_room').map(({ data }) => data), [{ room: 'a', since: 'e.7' }]);
  },

  async 'the reply to a join that was given up is not taken for that of the next'(open) {
    const gateway = play();
    const client = open('ws://gateway/ws', gateway.options);
    const socket = await gateway.opened(1);
    socket.welcome();
    const first = client.room('a');
    await turns();
    const left = first.leave();
    const second = client.room('a');
    const told = [];
    second.on('gap', (gap) => told.push(gap));
    second.on('room_joined', ({ offset }) => told.push(offset));
    const seen = record(second);
    await turns();
    const [join, leave, again] = socket.sent;
    assert.deepEqual(socket.sent.map(({ event }) => event), ['join_room', 'leave_room', 'join_room']);
    socket.say({ id: join.id, ...joined('a', 1) }, publication('a', 2),
      { id: leave.id, event: 'room_left', data: { room: 'a' } },
      { id: again.id, ...joined('a', 5) }, publication('a', 6));
    await left;
    assert.deepEqual(told, [5]);
    assert.deepEqual(seen.map(([, n]) => n), [6]);
  },

  async 'a late reply to a join changes nothing'(open) {
    const gateway = play();
    const client = open('ws://gateway/ws', { ...gateway.options, requestTimeout: 20 });
    const socket = await gateway.opened(1);
    socket.welcome();
    const room = client.room('a').resume('e.3');
    const seen = record(room);
    const gaps = [];
    room.on('gap', (gap) => gaps.push(gap));
    await until('the room is asked for again', () => socket.asked('join_room').length >= 2);
    const first = socket.asked('join_room')[0];
    const second = socket.asked('join_room').at(-1);
    socket.say({ id: first.id, ...joined('a', 3, { recovered: true }) }, publication('a', 4));
    socket.say({ id: second.id, ...joined('a', 3, { recovered: true }) }, publication('a', 4), publication('a', 5));
    assert.deepEqual(seen.map(([, n]) => n), [4, 5]);
    assert.deepEqual(gaps, []);
    assert.equal(client.user, null);
  },

  async 'a backend puts the client into a room, and it stays there over a reconnect'(open) {
    const gateway = play(agrees);
    const client = open('ws://gateway/ws', { ...gateway.options, token: 'ann' });
    const told = [];
    client.on('room', (room) => told.push(room.name));
    const one = await gateway.opened(1);
    one.welcome();
    one.say(joined('deal:7', 2), joined('user:ann', 9), publication('deal:7', 3), publication('user:ann', 10));
    assert.deepEqual(told, ['deal:7', 'user:ann']);
    assert.equal(client.user.name, 'user:ann');
    one.end(1006);
    const two = await gateway.opened(2);
    assert.equal(new URL(two.url).searchParams.get('since'), '{"user:ann":"e.10"}');
    two.welcome();
    await turns();
    assert.deepEqual(two.asked('join_room').map(({ data }) => data), [{ room: 'deal:7', since: 'e.3' }]);
  },

  async "the user's own room, asked for by name, begins where it was left"(open) {
    const gateway = play();
    const client = open('ws://gateway/ws', { ...gateway.options, token: 'ann' });
    const seen = record(client.room('user:ann').resume('e.3'));
    const socket = await gateway.opened(1);
    socket.welcome();
    socket.say(joined('user:ann', 5), publication('user:ann', 6));
    await until('it is asked for', () => socket.asked('join_room').length === 1);
    socket.say({ id: socket.sent[0].id, ...joined('user:ann', 3, { recovered: true }) },
      ...[4, 5, 6, 7].map((n) => publication('user:ann', n)));
    assert.deepEqual(seen.map(([, n]) => n), [4, 5, 6, 7]);
    socket.end(1006);
    const next = await gateway.opened(2);
    assert.equal(new URL(next.url).searchParams.get('since'), '{"user:ann":"e.7"}');
    next.welcome();
    next.say(joined('user:ann', 7, { recovered: true }), publication('user:ann', 8));
    assert.deepEqual(seen.map(([, n]) => n), [4, 5, 6, 7, 8]);
    assert.equal((await refusal(client.room('user:ann').leave())).code, 'forbidden');
    await turns();
    assert.deepEqual(next.sent, [], 'the gateway joins it');
  },

  async 'a guest that comes back is another one'(open) {
    const gateway = play({ join_room: agrees.join_room });
    const client = open('ws://gateway/ws', gateway.options);
    const one = await gateway.opened(1);
    one.welcome('guest-1');
    one.say(joined('user:guest-1', 1));
    const { user } = client;
    const reading = user[Symbol.asyncIterator]().next();
    const own = user.publish('n', 1);
    const lobby = client.room('lobby');
    const unanswered = lobby.publish('n', 1);
    const waits = lobby.publish('n', 2);
    await until('both are published', () => one.asked('publish').length === 2);
    one.end(1006);
    const two = await gateway.opened(2);
    assert.equal(new URL(two.url).search, '');
    two.welcome('guest-2');
    two.say(joined('user:guest-2', 0));
    assert.equal(client.user.name, 'user:guest-2');
    assert.deepEqual(await reading, { value: undefined, done: true });
    assert.equal((await refusal(own)).code, 'closed');
    assert.equal((await refusal(unanswered)).code, 'offline', 'a repeat by another guest would be stored twice');
    await until('the next one is published', () => two.asked('publish').length === 1);
    const [{ id, data }] = two.asked('publish');
    assert.equal(data.data, 2);
    two.say({ id, event: 'published', data: { room: 'lobby', offset: 1, pos: 'e.1' } });
    assert.deepEqual(await waits, { offset: 1, pos: 'e.1' });
  },

  async 'a repeated publish has its key and its content, and those behind it wait'(open) {
    const refusals = [{ event: 'error', data: { code: 'unavailable', message: 'm', retryable: true } }];
    const gateway = play({ ...agrees, publish: () => refusals.pop() });
    const client = open('ws://gateway/ws', { ...gateway.options, token: 'ann' });
    const room = client.room('a');
    const data = { n: 1 };
    const done = [room.publish('n', data), room.publish('n', { n: 2 })];
    data.n = 99;
    const one = await gateway.opened(1);
    one.welcome();
    await until('it is repeated', () => one.asked('publish').length === 2);
    data.n = 100;
    one.end(1006);
    const two = await gateway.opened(2);
    two.welcome();
    await until('it is repeated once more', () => two.asked('publish').length === 1);
    await turns();
    const bodies = [...one.asked('publish'), ...two.asked('publish')].map((message) => message.data);
    assert.deepEqual(bodies, [bodies[0], bodies[0], bodies[0]]);
    assert.equal(bodies[0].data.n, 1);
    for (const offset of [1, 2]) {
      const { id } = two.asked('publish').at(-1);
      two.say({ id, event: 'published', data: { room: 'a', offset, pos: `e.${offset}` } });
      await turns();
    }
    assert.deepEqual((await Promise.all(done)).map(({ offset }) => offset), [1, 2]);
    assert.notEqual(two.asked('publish')[1].data.idempotencyKey, bodies[0].idempotencyKey);
  },

  async 'what cannot be written is refused and keeps nothing from being published'(open) {
    const gateway = play({ ...agrees, publish: () => ({ event: 'published', data: { room: 'a', offset: 1, pos: 'e.1' } }) });
    const client = open('ws://gateway/ws', gateway.options);
    const room = client.room('a');
    const ring = {};
    ring.ring = ring;
    await assert.rejects(room.publish('n', ring), TypeError);
    (await gateway.opened(1)).welcome();
    await assert.rejects(client.request('n', ring), TypeError);
    assert.equal((await room.publish('n', 1)).offset, 1);
  },

  async 'a listener may close the client, and then it stays closed'(open) {
    for (const at of ['connecting', 'open', 'waiting']) {
      const gateway = play();
      const client = open('ws://gateway/ws', gateway.options);
      client.room('a');
      const states = [];
      let seen = 0;
      client.on('state', (state) => {
        states.push(state);
        if (state === at && ++seen) client.close();
      });
      const socket = await gateway.opened(1);
      socket.welcome('ann', { heartbeatMs: 1 });
      socket.end(1006);
      await turns();
      assert.equal(seen, 1);
      assert.equal(client.state, 'closed');
      assert.equal(states.at(-1), 'closed');
      assert.equal(gateway.sockets.length, 1, at);
      assert.equal(timers(), 0, at);
    }
    const gateway = play();
    const client = open('ws://gateway/ws', { ...gateway.options, token: () => { throw new Error('no'); } });
    client.on('error', () => client.close());
    await turns();
    assert.deepEqual([client.state, gateway.sockets.length], ['closed', 0]);
  },

  async 'close leaves nothing that waits'(open) {
    const unavailable = () => ({ event: 'error', data: { code: 'unavailable', message: 'm', retryable: true } });
    const gateway = play({ join_room: ({ room }) => (room === 'a' ? joined('a') : unavailable()), publish: unavailable });
    const client = open('ws://gateway/ws', { ...gateway.options, minDelay: 60_000, maxDelay: 60_000, token: 'ann' });
    const socket = await gateway.opened(1);
    socket.welcome('ann', { heartbeatMs: 60_000 });
    const a = client.room('a');
    const b = client.room('b');
    const it = a[Symbol.asyncIterator]();
    const all = [a.publish('n', 1), b.publish('n', 1), client.request('x'), a.history(), a.members(), b.joined];
    const refusals = Promise.all(all.map(refusal));
    await until('all is asked', () => socket.sent.length >= 6);
    await turns();
    client.close();
    for (const err of await refusals) assert.equal(err.code, 'closed');
    assert.equal((await it.next()).done, true);
    assert.equal(timers(), 0);
    const late = client.room('late');
    assert.equal((await refusal(late.joined)).code, 'closed');
    assert.equal((await refusal(late.publish('n', 1))).code, 'closed');
    assert.equal((await late[Symbol.asyncIterator]().next()).done, true);
    assert.equal((await refusal(client.request('x'))).code, 'offline');
    assert.equal(late.send('n', 1), false);
    assert.deepEqual([client.state, client.identity], ['closed', null]);
  },

  async 'leaving offline forgets the room'(open) {
    const gateway = play(agrees);
    const client = open('ws://gateway/ws', gateway.options);
    const room = client.room('a');
    const socket = await gateway.opened(1);
    socket.welcome();
    await room.joined;
    const leaving = room.leave();
    socket.end(1006);
    await leaving;
    (await gateway.opened(2)).welcome();
    await turns();
    assert.deepEqual(gateway.sockets[1].sent, []);
  },

  async 'a listener that leaves hears nothing more'(open) {
    const gateway = play();
    const client = open('ws://gateway/ws', gateway.options);
    const room = client.room('a').resume('e.0');
    const seen = [];
    room.on('n', (n) => {
      seen.push(n);
      if (n === 2) room.leave();
    });
    const socket = await gateway.opened(1);
    socket.welcome();
    await until('it is asked for', () => socket.sent.length === 1);
    socket.say({ id: socket.sent[0].id, ...joined('a', 9, { reason: 'too_far_behind' }) });
    await until('the history is asked for', () => socket.sent.length === 2);
    const publications = [1, 2, 3, 4].map((n) => publication('a', n));
    socket.say({ id: socket.sent[1].id, event: 'history', data: { room: 'a', offset: 4, pos: 'e.4', more: true, publications } });
    await turns();
    assert.deepEqual(seen, [1, 2]);
  },

  async 'a gap in a history that was being caught up with is told once, by the join behind it'(open) {
    const gateway = play();
    const client = open('ws://gateway/ws', gateway.options);
    const room = client.room('a').resume('e.1');
    const seen = [];
    room.on('gap', ({ from, offset, reason }) => seen.push([reason, from, offset]));
    room.on('n', (n) => seen.push(n));
    room.on('room_joined', ({ recovered }) => seen.push(recovered));
    const socket = await gateway.opened(1);
    const reply = async (n, answer) => {
      await until(`there are ${n} requests`, () => socket.sent.length === n);
      socket.say({ id: socket.sent[n - 1].id, ...answer });
    };
    socket.welcome();
    await reply(1, joined('a', 9, { reason: 'too_far_behind' }));
    await reply(2, { event: 'history', data: { room: 'a', more: true, publications: [publication('a', 2), publication('a', 3)] } });
    socket.say(publication('a', 10), { event: 'gap', data: { room: 'a', reason: 'slow', from: 10, offset: 12, pos: 'e.12' } });
    await reply(3, { event: 'error', data: { code: 'insufficient_state', message: 'm', retryable: false, reason: 'trimmed' } });
    await reply(4, joined('a', 20, { reason: 'trimmed' }));
    assert.deepEqual(socket.sent[3].data, { room: 'a', since: 'e.3' });
    socket.say(publication('a', 21));
    assert.deepEqual(seen, [2, 3, ['trimmed', 3, 20], false, 21]);
  },

  async 'a gap without a position lets everything pass, and the next join goes back to before it'(open) {
    const gateway = play(agrees);
    const client = open('ws://gateway/ws', gateway.options);
    const room = client.room('a').resume('e.8');
    const seen = [];
    room.on('n', (n) => seen.push(n));
    room.on('gap', ({ reason }) => seen.push(reason));
    const one = await gateway.opened(1);
    one.welcome();
    await room.joined;
    one.say(publication('a', 9), { event: 'gap', data: { room: 'a', reason: 'history_lost' } });
    one.end(1006);
    const two = await gateway.opened(2);
    two.welcome();
    await until('it is asked for', () => two.asked('join_room').length === 1);
    assert.equal(two.asked('join_room')[0].data.since, 'e.9');
    await turns();
    two.say({ event: 'gap', data: { room: 'a', reason: 'history_lost' } }, publication('a', 1), publication('a', 1), publication('a', 2));
    assert.deepEqual(seen, [9, 'history_lost', 'history_lost', 1, 2]);
  },

  async 'a thousand rooms are joined a few at a time'(open) {
    let most = 0;
    let now = 0;
    const gateway = play({
      join_room({ room }, { id }, socket) {
        most = Math.max(most, ++now);
        setTimeout(() => {
          now--;
          socket.say({ id, ...joined(room) });
        }, 1);
      },
    });
    const client = open('ws://gateway/ws', gateway.options);
    const rooms = Array.from({ length: 1000 }, (_, n) => client.room(`r${n}`));
    (await gateway.opened(1)).welcome();
    await Promise.all(rooms.map((room) => room.joined));
    assert.ok(most > 1 && most <= 20, `${most} at once`);
  },

  async 'only what is news is told as an event'(open) {
    const gateway = play(agrees);
    const client = open('ws://gateway/ws', gateway.options);
    const told = [];
    client.on('event', ({ event }) => told.push(event));
    const room = client.room('a');
    const seen = record(room);
    const socket = await gateway.opened(1);
    socket.welcome();
    await room.joined;
    socket.say(
      { event: 'pong', data: { timestamp: 1 } },
      { event: 'published', data: { room: 'a', offset: 1, pos: 'e.1' } },
      { event: 'error', id: 12345, data: { code: 'internal', message: 'late' } },
      { event: 'late', id: 12346, data: null },
      { event: 'notice', data: { text: 'for everyone' } },
      { ...publication('a', 1), event: '*' },
    );
    socket.onmessage({ data: 'no JSON' });
    assert.deepEqual(told, ['notice']);
    assert.deepEqual(seen.map(([event, data]) => [event, data]), [['*', 1]]);
  },

  async 'advice to go elsewhere is followed to hosts that are allowed'(open) {
    const cases = [
      ['ws://other/ws', 'ws://gateway/ws'],
      ['ws://good:81/ws', 'ws://gateway/ws'],
      ['wss://good/ws', 'wss://good/ws'],
      ['ws://good/ws', 'ws://good/ws'],
      ['http://good/ws', 'ws://good/ws'],
      ['javascript:alert(1)', 'ws://gateway/ws'],
      ['not a URL', 'ws://gateway/ws'],
      [undefined, 'ws://gateway/ws'],
    ];
    for (const [url, want] of cases) {
      const gateway = play();
      const client = open('ws://gateway/ws', { ...gateway.options, hosts: ['good:80', 'good:443'] });
      const one = await gateway.opened(1);
      one.welcome();
      one.say({ event: 'reconnect', data: { reason: 'drain', afterMs: 0, url } });
      one.end(1012);
      const two = await gateway.opened(2);
      assert.equal(two.url, want.replace('good:443', 'good'), String(url));
      two.end(1006); // nobody there
      assert.equal((await gateway.opened(3)).url, 'ws://gateway/ws');
      client.close();
    }
    const secure = play();
    open('wss://gateway/ws', { ...secure.options, hosts: ['good'] });
    const one = await secure.opened(1);
    one.welcome();
    one.say({ event: 'reconnect', data: { reason: 'drain', url: 'ws://gateway/ws' } });
    one.end(1012);
    assert.equal((await secure.opened(2)).url, 'wss://gateway/ws', 'never from wss to ws');
  },

  async 'close codes say whether and when to come back'(open) {
    const reconnects = { 1001: 1, 1005: 1, 1006: 1, 1012: 1, 4002: 1, 4008: 1, 1000: 4, 1011: 4, 1013: 4, 4009: 4, 4999: 4, 4001: 4 };
    await unlucky(async () => {
      for (const [code, times] of Object.entries(reconnects)) {
        const gateway = play();
        const client = open('ws://gateway/ws', { ...gateway.options, minDelay: 1000, maxDelay: 60_000, token: () => 'ann' });
        const waits = [];
        client.on('state', (state, detail) => { if (state === 'waiting') waits.push(detail); });
        const socket = await gateway.opened(1);
        socket.welcome();
        socket.say({ event: 'reconnect', data: { reason: 'drain', afterMs: 500 } });
        socket.end(Number(code), 'why');
        assert.deepEqual(waits, [{ code: Number(code), reason: 'why', delay: 1000 * times + (code === '1012' ? 500 : 0) }]);
        client.close();
      }
    });
    for (const [code, token] of [...[1002, 1003, 1007, 1008, 1009, 4003].map((code) => [code, () => 'ann']), [4001, 'ann'], [4002, 'ann']]) {
      const gateway = play();
      const client = open('ws://gateway/ws', { ...gateway.options, token });
      const ends = [];
      client.on('state', (state, detail) => { if (state === 'closed') ends.push(detail.code); });
      const waiting = client.room('a').publish('n', 1);
      const socket = await gateway.opened(1);
      socket.welcome();
      socket.end(code, 'why');
      assert.deepEqual(ends, [code]);
      assert.equal((await refusal(waiting)).code, 'closed');
      await turns();
      assert.equal(gateway.sockets.length, 1);
    }
  },

  async 'a credential that is refused is replaced once, however often the network failed before'(open) {
    const gateway = play();
    let tokens = 0;
    const client = open('ws://gateway/ws', { ...gateway.options, token: async () => `t${tokens++}` });
    for (const code of [1006, 1006, 4001, 1006]) (await gateway.opened(gateway.sockets.length + 1)).end(code);
    const socket = await gateway.opened(5);
    assert.equal(socket.protocols[1], `gateway.v1.bearer.${btoa('t4').replaceAll('=', '')}`);
    socket.welcome();
    assert.equal(client.state, 'open');
    socket.end(4001);
    (await gateway.opened(6)).end(4001);
    assert.equal(client.state, 'closed');
  },

  async 'connections that do not last are not opened ever faster'(open) {
    await unlucky(async () => {
      const gateway = play();
      const client = open('ws://gateway/ws', { ...gateway.options, minDelay: 2, maxDelay: 9 });
      const waits = [];
      client.on('state', (state, detail) => { if (state === 'waiting') waits.push(detail.delay); });
      for (let n = 1; n <= 5; n++) {
        const socket = await gateway.opened(n);
        socket.welcome();
        socket.end(4008);
      }
      assert.deepEqual(waits, [2, 4, 8, 9, 9]);
    });
  },

  async 'a token that takes too long is not waited for, nor used later'(open) {
    const gateway = play();
    const late = [];
    const client = open('ws://gateway/ws', { ...gateway.options, connectTimeout: 20, token: () => new Promise((done) => { late.push(done); }) });
    await until('the token is asked for again', () => late.length >= 2);
    late[0]('old');
    late.at(-1)('new');
    const socket = await gateway.opened(1);
    assert.equal(socket.protocols[1], `gateway.v1.bearer.${btoa('new').replaceAll('=', '')}`);
    await turns();
    assert.equal(gateway.sockets.length, 1);
    socket.welcome();
    client.close();
    await reaches(client, 'closed');
  },

  async 'iterators and the queue are bounded'(open) {
    const gateway = play(agrees);
    const client = open('ws://gateway/ws', { ...gateway.options, maxBuffer: 3, maxQueue: 2 });
    const a = client.room('a');
    const it = a[Symbol.asyncIterator]();
    const waiting = [a.publish('n', 1), client.room('b').publish('n', 2)];
    assert.equal((await refusal(a.publish('n', 3))).code, 'queue_full');
    const socket = await gateway.opened(1);
    socket.welcome();
    await a.joined;
    const first = it.next();
    socket.say(...[1, 2, 3].map((n) => publication('a', n)));
    socket.say({ event: 'gap', data: { room: 'a', reason: 'slow', from: 3, offset: 5, pos: 'e.5' } });
    socket.say(...[6, 7, 8, 9].map((n) => publication('a', n)));
    assert.equal((await first).value.data, 1);
    const lost = await it.next();
    assert.deepEqual(lost.value, { event: 'gap', room: 'a', data: { room: 'a', reason: 'buffer', from: 1, offset: 6, pos: 'e.6' } });
    for (const n of [7, 8, 9]) assert.equal((await it.next()).value.data, n);
    const last = it.next();
    assert.deepEqual(await it.return(), { value: undefined, done: true });
    assert.equal((await last).done, true);
    client.close();
    for (const publish of waiting) assert.equal((await refusal(publish)).code, 'closed');
  },
});
