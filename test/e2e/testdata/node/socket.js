// The cases of the Socket.IO protocol, against the fixture's socket layer.
const { assert, test, sleep } = require('./harness.js');
const { Polling, Socket, at, bytes } = require('./raw.js');

// connect opens a WebSocket and connects to a namespace: "" or "/custom,".
async function connect(namespace = '', auth = '') {
  const s = new Socket('socket');
  assert.strictEqual((await s.read())[0], '0');
  await join(s, namespace, auth);
  return s;
}

async function join(s, namespace, auth) {
  s.send(`40${namespace}${auth}`);
  const reply = await s.read();
  assert.ok(reply.startsWith(`40${namespace}{`), reply);
  const { sid, ...rest } = JSON.parse(reply.slice(2 + namespace.length));
  assert.strictEqual(typeof sid, 'string');
  assert.deepStrictEqual(rest, {});
  assert.strictEqual(await s.read(), `42${namespace}["auth",${auth || '{}'}]`);
}

for (const [namespace, auth] of [['', ''], ['', '{"token":"123"}'], ['/custom,', ''], ['/custom,', '{"token":"abc"}']]) {
  test(`connect: 40${namespace}${auth}`, () => connect(namespace, auth));
}

test('connect: over polling, with the handshake at once', async () => {
  const p = await Polling.open('socket');
  assert.deepStrictEqual(await p.post('40'), { status: 200, text: 'ok' });
  const [reply, auth] = await p.packets(2);
  assert.ok(reply.startsWith('40{"sid":"'), reply);
  assert.notStrictEqual(JSON.parse(reply.slice(2)).sid, p.sid);
  assert.strictEqual(auth, '42["auth",{}]');
});

test('connect: a namespace without its comma', async () => {
  const s = new Socket('socket');
  await s.read();
  s.send('40/custom');
  assert.ok((await s.read()).startsWith('40/custom,{"sid":"'));
});

test('connect: an unknown namespace is refused', async () => {
  const s = new Socket('socket');
  await s.read();
  s.send('40/random');
  assert.strictEqual(await s.read(), '44/random,{"message":"Invalid namespace"}');
});

test('connect: a malformed packet ends the connection', async () => {
  const s = new Socket('socket');
  await s.read();
  s.send('4abc');
  await s.end();
});

test('connect: an event before it ends the connection', async () => {
  const s = new Socket('socket');
  await s.read();
  s.send('42["message",1]');
  await s.end();
});

test('connect: who sends none is disconnected', async () => {
  const s = new Socket('socket'); // which answers pings
  await s.read();
  await s.end();
});

test('disconnect: the connection stays', async () => {
  const s = await connect();
  s.send('41');
  s.pings = true;
  assert.strictEqual(await s.read(), '2');
});

test('disconnect: the other namespace stays', async () => {
  const s = await connect();
  await join(s, '/custom,', '');
  s.send('41/custom');
  s.send('42["message","message to main namespace"]');
  assert.strictEqual(await s.read(), '42["message-back","message to main namespace"]');
});

test('message: arguments of all kinds come back', async () => {
  const s = await connect();
  s.send('42["message",1,"2",{"3":[true]}]');
  assert.strictEqual(await s.read(), '42["message-back",1,"2",{"3":[true]}]');
});

// pieces sends a packet with two attachments and reads one back.
async function pieces(s, packet) {
  s.send(packet);
  s.send(bytes(1, 2, 3));
  s.send(bytes(4, 5, 6));
  const text = await s.read();
  assert.deepStrictEqual(new Uint8Array(await s.read()), bytes(1, 2, 3));
  assert.deepStrictEqual(new Uint8Array(await s.read()), bytes(4, 5, 6));
  return text;
}

const placeholders = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';

test('message: attachments come back', async () => {
  assert.strictEqual(await pieces(await connect(), `452-["message",${placeholders}]`), `452-["message-back",${placeholders}]`);
});

test('message: an acknowledgement', async () => {
  const s = await connect();
  s.send('42456["message-with-ack",1,"2",{"3":[false]}]');
  assert.strictEqual(await s.read(), '43456[1,"2",{"3":[false]}]');
});

test('message: an acknowledgement with attachments', async () => {
  assert.strictEqual(await pieces(await connect(), `452-789["message-with-ack",${placeholders}]`), `462-789[${placeholders}]`);
});

test('message: attachments over polling', async () => {
  const p = await Polling.open('socket');
  await p.post('40');
  await p.packets(2);
  assert.strictEqual((await p.post('451-["message",{"_placeholder":true,"num":0}]\x1ebAQID')).status, 200);
  assert.deepStrictEqual(await p.packets(2), ['451-["message-back",{"_placeholder":true,"num":0}]', 'bAQID']);
});

for (const [what, packet] of [
  ['an unknown type', '4abc'],
  ['a payload that is no array', '42{}'],
  ['an acknowledgement id that is no number', '42abc["message-with-ack",1,"2",{"3":[false]}]'],
  ['a reserved event', '42["disconnect"]'],
  ['text in place of an attachment', '451-["message",{"_placeholder":true,"num":0}]\u00004'],
]) {
  test(`message: ${what} ends the connection`, async () => {
    const s = await connect();
    for (const message of packet.split('\u0000')) s.send(message);
    await s.end();
  });
}

test('the transport below is the same', async () => {
  const { said } = await Polling.open('socket');
  const { sid, ...rest } = said;
  assert.strictEqual(typeof sid, 'string');
  assert.deepStrictEqual(rest, { upgrades: ['websocket'], pingInterval: 300, pingTimeout: 200, maxPayload: 1000000 });
  for (const query of ['transport=polling', 'EIO=abc&transport=polling', 'EIO=4', 'EIO=4&transport=abc']) {
    assert.strictEqual((await fetch(at('socket', query))).status, 400, query);
  }
  for (const method of ['POST', 'PUT']) {
    assert.strictEqual((await fetch(at('socket', 'EIO=4&transport=polling'), { method })).status, 400, method);
  }
  for (const query of ['transport=websocket', 'EIO=abc&transport=websocket', 'EIO=4', 'EIO=4&transport=abc']) {
    await new Socket('socket', query).end();
  }
});

test('the transport below: heartbeats', async () => {
  const p = await Polling.open('socket');
  assert.strictEqual((await p.get()).text, '2');
  assert.strictEqual((await p.post('3')).status, 200);
  assert.strictEqual((await p.get()).text, '2');
  const late = await Polling.open('socket');
  await sleep(500);
  assert.strictEqual((await late.get()).status, 400);
});

test('the transport below: the end', async () => {
  const p = await Polling.open('socket');
  const [poll] = await Promise.all([p.get(), p.post('1')]);
  assert.deepStrictEqual([poll.status, poll.text], [200, '6']);
  assert.strictEqual((await p.get()).status, 400);
  const s = new Socket('socket');
  await s.read();
  s.send('1');
  await s.end();
});

test('the transport below: upgrades, with a CONNECT on the way', async () => {
  const p = await Polling.open('socket');
  await p.post('40');
  const s = new Socket('socket', `EIO=4&transport=websocket&sid=${p.sid}`);
  await s.opened;
  s.send('2probe');
  assert.strictEqual(await s.read(), '3probe');
  s.send('5');
  assert.ok((await s.read()).startsWith('40{"sid":"'));
  assert.strictEqual(await s.read(), '42["auth",{}]');
  assert.strictEqual((await p.get()).status, 400);
  const second = new Socket('socket', `EIO=4&transport=websocket&sid=${p.sid}`);
  await second.end();
  s.send('42["message","still here"]');
  assert.strictEqual(await s.read(), '42["message-back","still here"]');
});
