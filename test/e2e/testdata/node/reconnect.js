// Clients of a gateway that is killed and comes back, or drains.
const { assert, ask, oneByOne, test, until } = require('./harness.js');
const { call, modes, online, transport, versions } = require('./library.js');

oneByOne();

const clients = [];

test('they connect', async () => {
  for (const version of Object.keys(versions)) {
    for (const mode of Object.keys(modes)) {
      const socket = await online(version, mode, { auth: { token: 'ann' }, reconnectionDelay: 50, reconnectionDelayMax: 200 });
      socket.name = `${version}, ${mode}`;
      socket.reasons = [];
      socket.on('disconnect', (reason) => socket.reasons.push(reason));
      clients.push(socket);
    }
  }
  await until(() => clients.every((s) => s.name.endsWith('polling') || transport(s) === 'websocket'), 'they have upgraded');
});

const times = (socket) => socket.heard.filter(([event]) => event === 'connected').length;

for (const [what, n, reasons] of [['restart', 2, ['transport close', 'transport error']], ['drain', 3, ['transport close']]]) {
  test(`they come back by themselves after a ${what}`, async () => {
    const ids = clients.map((s) => s.id);
    await ask(what);
    await until(() => clients.every((s) => times(s) === n && s.connected), `all are connected for the ${n}th time`);
    for (const [i, socket] of clients.entries()) {
      assert.strictEqual(socket.reasons.length, n - 1, socket.name);
      assert.ok(reasons.includes(socket.reasons[n - 2]), `${socket.name}: ${socket.reasons}`);
      assert.notStrictEqual(socket.id, ids[i]);
      const joined = await call(socket, 'join_room', { room: 'lobby' });
      assert.ok(joined.ok, JSON.stringify(joined));
      const published = await call(socket, 'publish', { room: 'lobby', event: 'back', data: socket.name });
      assert.ok(published.ok, JSON.stringify(published));
    }
  });
}
