// The plan's own test, as it stands there, and the other event that it listens
// for.
const { assert, test, url, within } = require('./harness.js');
const { io } = require('socket.io-client');

test('a client connects', async () => {
  const client = io(url);
  await within(new Promise((resolve) => client.on('connected', resolve)), 'connected');
  assert.ok(client.connected);
  const failed = new Promise((resolve) => client.on('error', resolve));
  client.emit('error', { code: 'x' }); // reserved: nobody may publish it
  assert.strictEqual(typeof (await within(failed, 'error')).code, 'string');
  client.close();
});
