// What a client of the library can do at a gateway that has the namespace
// /chat, in both releases and every way of transport.
const { assert, sleep, test, until, url } = require('./harness.js');
const { call, client, heard, modes, once, online, transport, versions } = require('./library.js');

const names = { default: 'websocket', polling: 'polling', websocket: 'websocket' };

for (const version of Object.keys(versions)) {
  for (const mode of Object.keys(modes)) {
    const each = (what, run) => test(`${version}, ${mode}: ${what}`, () => run(`${version}-${mode}`));
    const open = (user, more = {}, where) => online(version, mode, { auth: { token: user }, ...more }, where);

    each('connected comes first, then requests with callbacks', async (room) => {
      const ann = await open('ann');
      const bob = await open('bob');
      const [first, connected] = ann.heard[0];
      assert.strictEqual(first, 'connected');
      assert.strictEqual(connected.userId, 'ann');
      assert.strictEqual(connected.connectionId, ann.id);
      assert.notStrictEqual(ann.id, ann.io.engine.id);
      for (const socket of [ann, bob]) {
        const joined = await call(socket, 'join_room', { room });
        assert.strictEqual(joined.ok, true, JSON.stringify(joined));
        assert.strictEqual(joined.event, 'room_joined');
        assert.strictEqual(joined.data.room, room);
      }
      const published = await call(ann, 'publish', { room, event: 'chat', data: { text: 'ä€😀', n: [1, null] } });
      assert.strictEqual(published.event, 'published');
      const [data, place] = await heard(bob, 'chat');
      assert.deepStrictEqual(data, { text: 'ä€😀', n: [1, null] });
      assert.deepStrictEqual(place, { room, offset: published.data.offset, pos: published.data.pos });
      await until(() => transport(ann) === names[mode], 'the transport is the one that was asked for');
      ann.close();
      bob.close();
    });

    each('binary data goes and comes, in callbacks too', async (name) => {
      const room = `${name}-binary`;
      const ann = await open('ann');
      const bob = await open('bob');
      for (const socket of [ann, bob]) assert.ok((await call(socket, 'join_room', { room })).ok);
      const pieces = { a: Buffer.from([1, 2, 3]), deep: [{ b: Buffer.alloc(3000, 7) }], text: 'x' };
      assert.ok((await call(ann, 'publish', { room, event: 'file', data: pieces })).ok);
      const same = (data) => {
        assert.deepStrictEqual(Buffer.from(data.a), pieces.a);
        assert.deepStrictEqual(Buffer.from(data.deep[0].b), pieces.deep[0].b);
        assert.strictEqual(data.text, 'x');
      };
      same((await heard(bob, 'file'))[0]);
      const history = await call(bob, 'history', { room });
      assert.ok(history.ok, JSON.stringify(history));
      same(history.data.publications[0].data);
      ann.close();
      bob.close();
    });

    each('what is refused says why, and the socket stays', async (name) => {
      const ann = await open('ann');
      const refused = await call(ann, 'publish', { room: `${name}-elsewhere`, event: 'chat', data: 1 });
      assert.strictEqual(refused.ok, false);
      assert.strictEqual(refused.error.code, 'forbidden');
      ann.emit('publish', { room: `${name}-elsewhere`, event: 'chat', data: 1 });
      const [error] = await heard(ann, 'error');
      assert.strictEqual(error.code, 'forbidden');
      ann.emit('nonsense', 1, 'two', { three: 3 });
      await heard(ann, 'error', (e) => e.code === 'unknown_event');
      ann.emit('ping', {}); // without a callback the reply is an event
      const [pong] = await heard(ann, 'pong');
      assert.strictEqual(typeof pong.timestamp, 'number');
      ann.packet({ type: 3, id: 77, data: [1], nsp: '/', options: {} }); // an acknowledgement that nobody asked for
      assert.ok((await call(ann, 'ping', {})).ok);
      assert.ok(ann.connected);
      ann.close();
    });

    each('namespaces share a connection and are left one by one', async (name) => {
      const room = `${name}-spaces`;
      const root = await open('ann');
      const chat = root.io.socket('/chat'); // of the same connection; opens by itself
      chat.heard = [];
      chat.onAny((...event) => chat.heard.push(event));
      const [connected] = await heard(chat, 'connected');
      assert.strictEqual(connected.userId, 'ann');
      assert.notStrictEqual(chat.id, root.id);
      for (const socket of [root, chat]) assert.ok((await call(socket, 'join_room', { room })).ok);
      await call(chat, 'publish', { room, event: 'chat', data: 1 });
      await heard(root, 'chat');
      await heard(chat, 'chat');
      const left = once(chat, 'disconnect');
      chat.disconnect();
      await left;
      assert.ok((await call(root, 'publish', { room, event: 'chat', data: 2 })).ok);
      assert.ok(root.connected);
      root.close();
      // Its own connection, and a namespace that there is not.
      const own = await open('bob', {}, `${url}/chat`);
      assert.strictEqual(own.nsp, '/chat');
      own.close();
      const lost = client(version, mode, { auth: { token: 'ann' } }, `${url}/nowhere`);
      const error = await once(lost, 'connect_error');
      assert.strictEqual(error.message, 'Invalid namespace');
      lost.close();
    });

    each('the order of what is sent is kept, across the upgrade too', async (name) => {
      const room = `${name}-order`;
      const bob = await open('bob');
      assert.ok((await call(bob, 'join_room', { room })).ok);
      const ann = client(version, mode, { auth: { token: 'ann' } });
      const n = 60;
      const replies = [];
      ann.emit('join_room', { room }); // kept until it is connected
      for (let i = 0; i < n; i++) {
        ann.emit('publish', { room, event: 'count', data: i, echo: false }, (r) => replies.push(r.ok ? r.data.offset : r));
        if (i % 5 === 0) await sleep(2);
      }
      await until(() => replies.length === n, 'every message is acknowledged');
      const counted = () => bob.heard.filter(([event]) => event === 'count');
      await until(() => counted().length === n, 'every message comes');
      assert.deepStrictEqual(counted().map(([, i]) => i), [...Array(n).keys()]);
      assert.deepStrictEqual(replies, counted().map(([, , place]) => place.offset));
      await until(() => transport(ann) === names[mode], 'the transport is the one that was asked for');
      ann.close();
      bob.close();
    });
  }
}
