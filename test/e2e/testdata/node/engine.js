// The cases of the Engine.IO protocol, against the fixture's engine layer.
const { assert, sleep, test, until } = require('./harness.js');
const { Polling, Socket, at, bytes } = require('./raw.js');

const interval = 300; // pingInterval
const timeout = 200; // pingTimeout

function checkOpen(said, upgrades) {
  const { sid, ...rest } = said;
  assert.strictEqual(typeof sid, 'string');
  assert.deepStrictEqual(rest, { upgrades, pingInterval: interval, pingTimeout: timeout, maxPayload: 1000000 });
}

test('polling: a handshake tells the session', async () => {
  checkOpen((await Polling.open('engine')).said, ['websocket']);
});

for (const [what, query, code, method] of [
  ['without a version', 'transport=polling', 5],
  ['of another version', 'EIO=abc&transport=polling', 5],
  ['without a transport', 'EIO=4', 0],
  ['of an unknown transport', 'EIO=4&transport=abc', 0],
  ['by POST', 'EIO=4&transport=polling', 2, 'POST'],
  ['by PUT', 'EIO=4&transport=polling', 2, 'PUT'],
  ['with an unknown session', 'EIO=4&transport=polling&sid=nobody', 1],
  ['of a WebSocket without an upgrade', 'EIO=4&transport=websocket', 3],
]) {
  test(`polling: a handshake ${what} is refused`, async () => {
    const r = await fetch(at('engine', query), { method: method || 'GET' });
    assert.strictEqual(r.status, 400);
    assert.strictEqual((await r.json()).code, code);
  });
}

test('websocket: a handshake tells the session', async () => {
  const s = new Socket('engine');
  const text = await s.read();
  assert.strictEqual(text[0], '0');
  checkOpen(JSON.parse(text.slice(1)), []);
  s.ws.close();
});

for (const query of ['transport=websocket', 'EIO=abc&transport=websocket', 'EIO=4', 'EIO=4&transport=abc']) {
  test(`websocket: a handshake with ${query} fails`, async () => {
    const s = new Socket('engine', query);
    await s.end();
    assert.deepStrictEqual(s.messages, []);
  });
}

for (const [what, body] of [
  ['one text packet', '4hello'],
  ['several text packets', '4test1\x1e4test2\x1e4test3'],
  ['text and binary packets', '4hello\x1ebAQIDBA=='],
]) {
  test(`polling: ${what} are echoed`, async () => {
    const p = await Polling.open('engine');
    assert.deepStrictEqual(await p.post(body), { status: 200, text: 'ok' });
    assert.deepStrictEqual(await p.packets(body.split('\x1e').length), body.split('\x1e'));
  });
}

test('polling: a malformed packet ends the session', async () => {
  const p = await Polling.open('engine');
  assert.strictEqual((await p.post('abc')).status, 400);
  assert.strictEqual((await p.get()).status, 400);
});

test('polling: two polls at once end the session', async () => {
  const p = await Polling.open('engine');
  // Which of the two comes first is for the network to say.
  const both = await Promise.all([p.get(), p.get()]);
  both.sort((a, b) => a.status - b.status);
  assert.strictEqual(both[0].status, 200);
  assert.strictEqual(both[0].text, '1');
  assert.strictEqual(both[1].status, 400);
  assert.strictEqual((await p.get()).status, 400);
});

test('polling: an aborted poll ends the session', async () => {
  const p = await Polling.open('engine');
  const abort = new AbortController();
  const gone = p.get({ signal: abort.signal }).then(() => 'answered', () => 'aborted');
  await sleep(50);
  abort.abort();
  assert.strictEqual(await gone, 'aborted');
  assert.strictEqual((await p.get()).status, 400);
});

test('polling: a body beyond maxPayload is refused', async () => {
  const p = await Polling.open('engine');
  assert.strictEqual((await p.post('4' + 'x'.repeat(1000000))).status, 413);
});

test('websocket: text is echoed', async () => {
  const s = new Socket('engine');
  await s.read();
  s.send('4hello');
  assert.strictEqual(await s.read(), '4hello');
  s.ws.close();
});

test('websocket: binary data is echoed', async () => {
  const s = new Socket('engine');
  await s.read();
  s.send(bytes(1, 2, 3, 4));
  assert.deepStrictEqual(new Uint8Array(await s.read()), bytes(1, 2, 3, 4));
  s.ws.close();
});

test('websocket: a malformed packet ends the session', async () => {
  const s = new Socket('engine');
  await s.read();
  s.send('abc');
  await s.end();
});

test('websocket: a message beyond maxPayload closes with 1009', async () => {
  const s = new Socket('engine');
  await s.read();
  s.send('4' + 'x'.repeat(1000000));
  assert.strictEqual(await s.end(), 1009);
});

test('polling: pings come, and their answers keep the session', async () => {
  const p = await Polling.open('engine');
  for (let i = 0; i < 3; i++) {
    const r = await p.get();
    assert.deepStrictEqual([r.status, r.text], [200, '2']);
    assert.strictEqual((await p.post('3')).status, 200);
  }
});

test('polling: silence ends the session', async () => {
  const p = await Polling.open('engine');
  await sleep(interval + timeout);
  assert.strictEqual((await p.get()).status, 400);
});

test('websocket: pings come, and their answers keep the session', async () => {
  const s = new Socket('engine');
  s.pings = true;
  await s.read();
  for (let i = 0; i < 3; i++) {
    assert.strictEqual(await s.read(), '2');
    s.send('3');
  }
  s.ws.close();
});

test('websocket: silence ends the session, not too soon', async () => {
  const s = new Socket('engine');
  s.pings = true;
  await s.read();
  const begun = Date.now();
  await s.end();
  // The open packet may have been read late: half the time is left for that.
  assert.ok(Date.now() - begun > (interval + timeout) / 2, 'ended too soon');
});

test('polling: a close packet ends the session, and its poll', async () => {
  const p = await Polling.open('engine');
  const [poll] = await Promise.all([p.get(), p.post('1')]);
  assert.deepStrictEqual([poll.status, poll.text], [200, '6']);
  assert.strictEqual((await p.get()).status, 400);
});

test('websocket: a close packet ends the session', async () => {
  const s = new Socket('engine');
  await s.read();
  s.send('1');
  await s.end();
});

// probe opens a WebSocket for a session, up to the answer to its probe.
async function probe(p) {
  const s = new Socket('engine', `EIO=4&transport=websocket&sid=${p.sid}`);
  await s.opened;
  s.send('2probe');
  assert.strictEqual(await s.read(), '3probe');
  return s;
}

test('upgrade: the session moves to the WebSocket', async () => {
  const p = await Polling.open('engine');
  const s = await probe(p);
  const poll = await p.get();
  assert.strictEqual(poll.status, 200);
  assert.ok(['6', '2'].includes(poll.text), poll.text); // nothing, unless a ping was due
  s.send('5');
  s.send('4hello');
  assert.strictEqual(await s.read(), '4hello');
  s.ws.close();
});

test('upgrade: a poll behind it is refused', async () => {
  const p = await Polling.open('engine');
  const s = await probe(p);
  s.send('5');
  assert.strictEqual((await p.get()).status, 400);
  s.send('4hello');
  assert.strictEqual(await s.read(), '4hello');
  s.ws.close();
});

test('upgrade: another WebSocket of the session is closed', async () => {
  const p = await Polling.open('engine');
  const s = await probe(p);
  s.send('5');
  const second = new Socket('engine', `EIO=4&transport=websocket&sid=${p.sid}`);
  await second.end();
  s.send('4hello');
  assert.strictEqual(await s.read(), '4hello');
  s.ws.close();
});

test('upgrade: messages meanwhile keep their order', async () => {
  const p = await Polling.open('engine');
  const got = [];
  let polling = true;
  const polls = (async () => { // as clients do: until the poll that the probe ends
    while (polling) {
      const r = await p.get();
      assert.strictEqual(r.status, 200, r.text);
      for (const packet of r.text.split('\x1e')) {
        if (packet[0] === '4') got.push(packet);
      }
    }
  })();
  const sent = [];
  const say = async () => { sent.push(`4m${sent.length}`); await p.post(sent[sent.length - 1]); };
  for (let i = 0; i < 5; i++) await say();
  const s = await probe(p);
  for (let i = 0; i < 5; i++) await say();
  polling = false;
  await p.post('4last'); // so that there is something to poll
  await polls;
  s.send('5');
  for (let i = 0; i < 5; i++) s.send(`4w${i}`);
  const want = [...sent, '4last', '4w0', '4w1', '4w2', '4w3', '4w4'];
  while (got.length < want.length) got.push(await s.read());
  assert.deepStrictEqual(got, want);
  s.ws.close();
});

test('pages of all origins may ask', async () => {
  const r = await fetch(at('engine', 'EIO=4&transport=polling'), { method: 'OPTIONS' });
  assert.ok(r.status === 200 || r.status === 204, `status ${r.status}`);
  assert.strictEqual(r.headers.get('access-control-allow-origin'), '*');
  const p = await fetch(at('engine', 'EIO=4&transport=polling'));
  assert.strictEqual(p.headers.get('access-control-allow-origin'), '*');
  await p.text();
});

test('session ids are long and differ', async () => {
  const ids = new Set();
  for (let i = 0; i < 20; i++) ids.add((await Polling.open('engine')).sid);
  assert.strictEqual(ids.size, 20);
  for (const id of ids) assert.ok(id.length >= 20, id);
  await until(async () => (await fetch(at('engine', `EIO=4&transport=polling&sid=${[...ids][0]}`))).status === 400, 'a session that nobody polls ends');
});
