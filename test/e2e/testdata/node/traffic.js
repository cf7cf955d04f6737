// Clients that come into a room where much is said: what they hear has no hole,
// and nothing twice, while their sessions move to WebSockets. Every client
// counts on until the one that publishes has stopped.
const { assert, ask, test, until } = require('./harness.js');
const { call, heard, online, transport, versions } = require('./library.js');

const room = 'busy';
const each = 8; // clients of each release

async function join(version, i) {
  const socket = await online(version, 'default', { auth: { token: `${version}${i}` } });
  const joined = await call(socket, 'join_room', { room });
  assert.ok(joined.ok, JSON.stringify(joined));
  socket.from = joined.data.offset;
  return socket;
}

test('nothing is lost or out of order', async () => {
  await ask('begin'); // somebody publishes 0, 1, 2, … to the room from now on
  const all = [];
  for (const version of Object.keys(versions)) {
    for (let i = 0; i < each; i++) all.push(join(version, i));
  }
  const sockets = await Promise.all(all);
  await until(() => sockets.every((s) => transport(s) === 'websocket'), 'all have upgraded');
  const last = Number(await ask('end')); // the offset of the last
  for (const socket of sockets) {
    await heard(socket, 'tick', (_, place) => place.offset === last);
    const offsets = socket.heard.filter(([event]) => event === 'tick').map(([, , place]) => place.offset);
    const want = Array.from({ length: last - socket.from }, (_, i) => socket.from + 1 + i);
    assert.deepStrictEqual(offsets, want);
    socket.close();
  }
  console.log(`${sockets.length} clients heard up to ${last}`);
});
