// A backend with redis-emitter, and clients of two gateways on its Redis. The
// arguments are the URLs of both gateways and that of the Redis.
const { assert, ask, oneByOne, test, until, url } = require('./harness.js');
const { call, heard, online, once, versions } = require('./library.js');
const { createClient } = require('redis');
const { Emitter } = require('@socket.io/redis-emitter');

oneByOne();

const [, , , other, redis] = process.argv;
const backend = createClient({ url: redis });
const sockets = [];
let io;

test('everybody is there', async () => {
  await backend.connect();
  io = new Emitter(backend);
  let i = 0;
  for (const where of [url, other]) {
    for (const version of Object.keys(versions)) {
      for (const mode of ['polling', 'websocket']) {
        const socket = await online(version, mode, { auth: { token: `user${i++}` } }, where);
        assert.ok((await call(socket, 'join_room', { room: 'news' })).ok);
        sockets.push(socket);
      }
    }
  }
  // An instance listens from some moment on: what comes is seen before it counts.
  await until(() => {
    io.emit('listening');
    return sockets.every((s) => s.heard.some(([event]) => event === 'listening'));
  }, 'both gateways listen');
});

test('arguments of all kinds come to a room, once', async () => {
  io.to('news').emit('headline', { text: 'Hällo' }, Buffer.from([1, 2, 3]), [1, null]);
  for (const socket of sockets) {
    const [data, piece, list, ...more] = await heard(socket, 'headline');
    assert.deepStrictEqual(data, { text: 'Hällo' });
    assert.deepStrictEqual(Buffer.from(piece), Buffer.from([1, 2, 3]));
    assert.deepStrictEqual(list, [1, null]);
    assert.deepStrictEqual(more, []);
  }
});

test('rooms, users, ids, and who is left out', async () => {
  const [first, second] = sockets;
  io.to(first.id).emit('one');
  io.to('user:user1').emit('two');
  io.to(['news', 'nothing']).except('user:user0').emit('three', 3);
  io.emit('four');
  for (const socket of sockets) await heard(socket, 'four');
  const count = (event) => sockets.filter((s) => s.heard.some(([name]) => name === event)).length;
  assert.strictEqual(count('one'), 1);
  assert.strictEqual(count('two'), 1);
  assert.strictEqual(count('three'), sockets.length - 1);
  await heard(first, 'one');
  await heard(second, 'two');
  assert.ok(!first.heard.some(([name]) => name === 'three'));
  for (const socket of sockets) {
    assert.strictEqual(socket.heard.filter(([name]) => name === 'headline').length, 1);
  }
});

test('plain clients get them too', async () => {
  await ask('listen'); // somebody on a plain WebSocket joins "plain"
  io.to('plain').emit('said', { n: 1 }, Buffer.from('ab'));
  assert.strictEqual(await ask('heard'), '[{"n":1},{"_binary":true,"base64":"YWI="}]');
});

test('reserved events are refused', async () => {
  io.emit('connected', {}); // the library refuses its own by itself
  io.emit('five');
  for (const socket of sockets) {
    await heard(socket, 'five');
    assert.strictEqual(socket.heard.filter(([name]) => name === 'connected').length, 1);
    assert.ok(socket.connected);
  }
});

test('join, leave and disconnect', async () => {
  const [first, ...rest] = sockets;
  io.in('user:user0').socketsJoin('inner');
  await heard(first, 'room_joined', ({ room }) => room === 'inner');
  io.to('inner').emit('six');
  await heard(first, 'six');
  io.in('inner').socketsLeave('inner');
  await heard(first, 'room_left', ({ room }) => room === 'inner');
  const gone = once(first, 'disconnect');
  io.in('user:user0').disconnectSockets();
  assert.strictEqual(await gone, 'io server disconnect');
  assert.ok(rest.every((s) => s.connected));
  await backend.quit();
});
