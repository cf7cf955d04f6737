// Questions that a backend asks through the server API, which is the second
// argument, with the key that is the third: the gateway asks with an
// acknowledgement.
const { assert, test, until, url, within } = require('./harness.js');
const { call, heard, modes, once, online, versions } = require('./library.js');
const { WebSocket } = require('ws');

const [, , , admin, key] = process.argv;

// question asks, and returns the API's status and answer.
async function question(body) {
  const response = await fetch(`${admin}/api/v1/ask`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ event: 'confirm', timeoutMs: 30000, ...body }),
  });
  return { status: response.status, ...await response.json() };
}

// plain opens a WebSocket of the user's without Socket.IO.
async function plain(user) {
  const ws = new WebSocket(url.replace(/^http/, 'ws') + '/ws', ['gateway.v1'], { headers: { Authorization: `Bearer ${user}` } });
  await within(new Promise((done, fail) => {
    ws.on('message', (text) => { if (JSON.parse(text).event === 'room_joined') done(); }); // the user's own
    ws.on('error', fail);
  }), 'a plain WebSocket');
  return ws;
}

const answered = (connection, data) => ({ status: 200, answers: [{ connection, data }], unanswered: [] });
const silent = (connection, reason) => ({ status: 200, answers: [], unanswered: [{ connection, reason }] });

for (const version of Object.keys(versions)) {
  for (const mode of Object.keys(modes)) {
    const each = (what, run) => test(`${version}, ${mode}: ${what}`, () => run(`${version}-${mode}-${what.replace(/\W/g, '')}`));
    const open = (user, where) => online(version, mode, { auth: { token: user }, reconnectionDelay: 10 }, where);

    each('a client answers with its callback', async (user) => {
      const ann = await open(user);
      ann.on('confirm', ({ n }, reply) => reply(...[[], [null], [{ n: 'ä€😀' }], [1, 'two', [3]]][n]));
      for (const [n, want] of [null, null, { n: 'ä€😀' }, [1, 'two', [3]]].entries()) {
        assert.deepStrictEqual(await question({ connection: ann.id, data: { n } }), answered(ann.id, want));
      }
      ann.on('nothing', (data, reply) => reply(data));
      assert.deepStrictEqual(await question({ user, event: 'nothing' }), answered(ann.id, null));
      ann.close();
    });

    each('binary data is asked and answered', async (user) => {
      const ann = await open(user);
      ann.on('confirm', (data, reply) => reply({ same: data.bytes, more: [Buffer.from([255, 0])] }));
      const bytes = Buffer.from([0, 1, 30, 200]);
      const wrapped = (b) => ({ _binary: true, base64: b.toString('base64') });
      assert.deepStrictEqual(await question({ connection: ann.id, data: { bytes: wrapped(bytes) } }),
        answered(ann.id, { same: wrapped(bytes), more: [wrapped(Buffer.from([255, 0]))] }));
      ann.close();
    });

    each('a client asks, too, before it answers', async (user) => {
      const ann = await open(user);
      ann.on('confirm', async (_, reply) => reply(await call(ann, 'join_room', { room: user })));
      const got = await question({ connection: ann.id });
      assert.strictEqual(got.answers[0].data.event, 'room_joined', JSON.stringify(got));
      ann.close();
    });

    each('many questions at once are told apart', async (user) => {
      const ann = await open(user);
      ann.on('confirm', (n, reply) => setTimeout(reply, (n * 7) % 20, n * n));
      const all = await Promise.all(Array.from({ length: 20 }, (_, n) => question({ connection: ann.id, data: n })));
      all.forEach((got, n) => assert.deepStrictEqual(got, answered(ann.id, n * n)));
      ann.close();
    });

    each('an answer that is late is dropped, and the client stays', async (user) => {
      const ann = await open(user);
      let late;
      ann.once('confirm', (_, reply) => { late = reply; });
      assert.deepStrictEqual(await question({ connection: ann.id, timeoutMs: 1000 }), silent(ann.id, 'timeout'));
      late('too late');
      ann.once('confirm', (_, reply) => reply('in time'));
      assert.deepStrictEqual(await question({ connection: ann.id }), answered(ann.id, 'in time'));
      assert.ok(ann.connected);
      ann.close();
    });

    each('a client that leaves, or is cut, is said to be gone', async (user) => {
      const ann = await open(user);
      const { id } = ann;
      ann.once('confirm', () => ann.close());
      assert.deepStrictEqual(await question({ connection: id }), silent(id, 'gone'));
      const bob = await open(user);
      const before = bob.id;
      let late;
      const cut = once(bob, 'disconnect');
      bob.once('confirm', (_, reply) => {
        late = reply;
        bob.io.engine.close();
      });
      assert.deepStrictEqual(await question({ connection: before }), silent(before, 'gone'));
      await cut; // the gateway may know of it first
      await until(() => bob.connected, 'the client is back'); // recovered, with the same id, in the latest release
      late('from before'); // goes over the new connection
      bob.once('confirm', (_, reply) => reply('now'));
      assert.deepStrictEqual(await question({ connection: bob.id }), answered(bob.id, 'now'));
      bob.close();
    });

    each('all connections of a user are asked, in every namespace', async (user) => {
      const ann = await open(user);
      const bob = await open(user);
      const chat = ann.io.socket('/chat', { auth: { token: user } });
      chat.heard = [];
      chat.onAny((...event) => chat.heard.push(event));
      await heard(chat, 'connected');
      ann.on('confirm', (_, reply) => reply('ann'));
      chat.on('confirm', (_, reply) => reply('chat'));
      const ws = await plain(user);
      const got = await question({ user, timeoutMs: 3000 }); // bob listens to nothing
      const byName = (list) => Object.fromEntries(list.map(({ connection, data, reason }) => [connection, data || reason]));
      assert.deepStrictEqual(byName(got.answers), { [ann.id]: 'ann', [chat.id]: 'chat' });
      const unanswered = byName(got.unanswered);
      assert.strictEqual(unanswered[bob.id], 'timeout');
      delete unanswered[bob.id];
      assert.deepStrictEqual(Object.values(unanswered), ['no_acknowledgements']);
      ws.close();
      ann.close();
      bob.close();
    });

    each('a question is no offset to recover from', async (user) => {
      const ann = await open(user);
      assert.ok((await call(ann, 'join_room', { room: user })).ok);
      assert.ok((await call(ann, 'publish', { room: user, event: 'chat', data: 1 })).ok);
      await heard(ann, 'chat');
      const offset = ann._lastOffset; // undefined in early releases, which recover nothing
      ann.on('confirm', (data, reply) => reply(data));
      assert.deepStrictEqual(await question({ connection: ann.id, data: 'a string' }), answered(ann.id, 'a string'));
      assert.strictEqual(ann._lastOffset, offset);
      ann.close();
    });
  }
}

test('who cannot be asked is a problem', async () => {
  const is = async (body, status, code) => {
    const got = await question(body);
    assert.deepStrictEqual([got.status, got.code], [status, code], JSON.stringify(got));
  };
  const ws = await plain('only');
  await is({ user: 'only' }, 409, 'conflict');
  await is({ connection: 'nobody' }, 404, 'not_found');
  await is({ user: 'only', event: 'connected' }, 403, 'forbidden');
  await is({ user: 'only', event: 'disconnect' }, 400, 'invalid_message');
  assert.deepStrictEqual(await question({ user: 'nobody' }), { status: 200, answers: [], unanswered: [] });
  ws.close();
});
