// Credentials, at a gateway whose auth service knows the tokens of ann and bob,
// as "token-ann" and "token-bob".
const { assert, sleep, test } = require('./harness.js');
const { call, client, heard, modes, once, online, versions } = require('./library.js');

for (const version of Object.keys(versions)) {
  for (const mode of Object.keys(modes)) {
    const each = (what, run) => test(`${version}, ${mode}: ${what}`, run);
    const refused = async (options) => {
      const socket = client(version, mode, options);
      const error = await once(socket, 'connect_error');
      assert.ok(error instanceof Error);
      assert.ok(!socket.connected);
      assert.deepStrictEqual(socket.heard, []);
      return { socket, error };
    };

    each('a bad token is refused, another is tried on the same socket', async () => {
      const auth = { token: 'wrong' };
      const { socket, error } = await refused({ auth: (give) => give(auth) });
      assert.strictEqual(error.data.code, 'unauthenticated');
      assert.strictEqual(error.data.retryable, false);
      assert.ok(error.message.length > 0);
      auth.token = 'token-ann';
      socket.connect();
      const [connected] = await heard(socket, 'connected');
      assert.strictEqual(connected.userId, 'ann');
      socket.close();
    });

    each('a token of the wrong type is refused', async () => {
      const { socket, error } = await refused({ auth: { token: 7 } });
      assert.strictEqual(error.data.code, 'invalid_message');
      socket.close();
    });

    each('the query and a header carry tokens too', async () => {
      for (const options of [{ query: { token: 'token-bob' } }, { extraHeaders: { Authorization: 'Bearer token-bob' } }]) {
        const socket = await online(version, mode, options);
        assert.strictEqual(socket.heard[0][1].userId, 'bob');
        socket.close();
      }
    });

    each('a socket is not taken over by another user', async () => {
      const socket = await online(version, mode, { auth: { token: 'token-ann' } });
      assert.strictEqual((await call(socket, 'authenticate', { token: 'token-bob' })).error.code, 'forbidden');
      assert.strictEqual((await call(socket, 'authenticate', { token: 'token-ann' })).data.userId, 'ann');
      const chat = socket.io.socket('/chat', { auth: { token: 'token-bob' } });
      assert.strictEqual((await once(chat, 'connect_error')).data.code, 'forbidden');
      assert.ok(socket.connected);
      socket.close();
    });

    each('a server that disconnects is not bothered again', async () => {
      const socket = await online(version, mode, { auth: { token: 'token-ann' }, reconnectionDelay: 10 });
      const gone = once(socket, 'disconnect');
      await fetch(`${process.argv[3]}/api/v1/disconnect`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${process.argv[4]}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({ connection: socket.id }),
      }).then(async (r) => assert.strictEqual(r.status, 200, await r.text()));
      assert.strictEqual(await gone, 'io server disconnect');
      await sleep(100);
      assert.ok(!socket.connected);
      socket.close();
    });
  }
}
