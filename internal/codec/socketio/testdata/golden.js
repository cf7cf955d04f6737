// Writes golden.json: what the reference implementation of the protocol says.
// Run it with Node in a folder outside the module, after
//   npm install socket.io-parser socket.io-client ws
//   node golden.js > golden.json
// The tests read golden.json alone.
const { Encoder, Decoder, PacketType } = require("socket.io-parser");
const { io } = require("socket.io-client");
const { WebSocketServer } = require("ws");

const hex = (b) => Buffer.from(b).toString("hex");
const encode = (packet) => new Encoder().encode(packet);

// decode returns the packets of a sequence of messages, or its error.
function decode(messages) {
  const decoder = new Decoder();
  const seen = [];
  decoder.on("decoded", (p) => seen.push(p));
  try {
    messages.forEach((m) => decoder.add(m));
  } catch (e) {
    return { error: e.message };
  }
  return { seen };
}

// wrapped writes binary data as the gateway does.
const wrapped = (v) => {
  if (Buffer.isBuffer(v)) return { _binary: true, base64: v.toString("base64") };
  if (Array.isArray(v)) return v.map(wrapped);
  if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, wrapped(x)]));
  return v;
};

const buf = (...bytes) => Buffer.from(bytes);
const out = { packets: [], texts: [], frames: {}, client: [] };

// Packets: encoded, and what the gateway should see.
for (const nsp of ["/", "/custom", "/a/b c€\"{"]) {
  const list = [
    { type: PacketType.CONNECT }, { type: PacketType.CONNECT, data: {} }, { type: PacketType.CONNECT, data: { token: "abc", n: 1 } },
    { type: PacketType.DISCONNECT },
    { type: PacketType.CONNECT_ERROR, data: { message: "Invalid namespace" } },
    { type: PacketType.CONNECT_ERROR, data: "refused" },
    { type: PacketType.EVENT, data: ["hello"] }, { type: PacketType.EVENT, data: ["hello", 1], id: 0 },
    { type: PacketType.EVENT, data: ["hello", { a: [1, { b: null }] }], id: 7 },
    { type: PacketType.EVENT, data: ["hello", "a,b]}", [], {}, null, true, -1.5e-7], id: 123456 },
    { type: PacketType.EVENT, data: ["€ 😀 \u2028 \"quote\" \\ \n\u0000\u001e", "\"\\\",[{"], id: 9007199254740991 },
    { type: PacketType.EVENT, data: [5, "a number"] },
    { type: PacketType.EVENT, data: [""] },
    { type: PacketType.EVENT, data: ["error", { code: 1 }] }, { type: PacketType.EVENT, data: ["connected"] },
    { type: PacketType.EVENT, data: ["plain", { _placeholder: true, num: 3 }] },
    { type: PacketType.ACK, data: [], id: 0 }, { type: PacketType.ACK, data: [{ ok: true }, 2], id: 12 },
    { type: PacketType.EVENT, data: ["bin", buf(1, 2, 3)] },
    { type: PacketType.EVENT, data: ["bin", buf(), { deep: [{ deeper: buf(0xfb, 0xff) }], no: { _placeholder: false, num: 0 } }, "x"], id: 3 },
    { type: PacketType.EVENT, data: ["ten", ...Array.from({ length: 10 }, (_, i) => buf(i))] },
    { type: PacketType.ACK, data: [buf(9), buf(8)], id: 4 },
  ];
  for (const p of list) {
    const messages = encode({ ...p, nsp });
    const { seen, error } = decode(messages);
    if (error) throw new Error(error);
    out.packets.push({
      type: p.type, nsp, id: p.id === undefined ? "" : String(p.id),
      data: p.data === undefined ? "" : JSON.stringify(wrapped(p.data)),
      text: messages[0], parts: messages.slice(1).map(hex),
    });
    if (JSON.stringify(wrapped(seen[0].data)) !== JSON.stringify(wrapped(p.data))) throw new Error("round trip");
  }
}

// Texts: accepted or not, and as what. Made of parts that do and do not fit.
const heads = ["", "0", "1", "2", "3", "4", "5", "6", "7", "a", "-", "51-", "510-", "511-", "50-", "5-", "5a-", "5-1-", "61-", "6999999999-", "51"];
const names = ["", "/", "/,", "/custom", "/custom,", "/a/b?x=1&y=2,", "//,"];
const ids = ["", "0", "7", "12", "123456789"];
const datas = ["", "{}", "[]", '["a"]', '["a",{"b":[1,2]},"c"]', '["disconnect"]', '["disconn\\u0065ct"]', '["connect_error",1]', '["newListener"]',
  '["removeListener"]', '["disconnecting"]', '["connect"]', '["error"]', '["Connect"]', "[1]", "[-1.5,2]", "[null]", "[true]", "[[]]", '[{"a":1}]',
  '"text"', '{"message":"no"}', "null", "abc", '["a"', '["a"]x', '["a"] ', '["a",]', "{", '{"a":1}{}', '{"token":"t"}', "{'a':1}", '["a",01]',
  '[ "a" , 1 ]', '["a",{"_placeholder":true,"num":0}]'];
const seenTexts = new Set();
for (const h of heads) for (const n of names) for (const i of ids) for (const d of datas) {
  // Every data behind every head; namespaces and ids with a few only.
  if (n !== "" && n !== "/custom," && !["", "{}", '["a"]', "abc"].includes(d)) continue;
  if (!["", "7"].includes(i) && d !== '["a"]') continue;
  const text = h + n + i + d;
  if (seenTexts.has(text)) continue;
  seenTexts.add(text);
  let p;
  try {
    p = new Decoder().decodeString(text);
  } catch (e) {
    out.texts.push([text, false]);
    continue;
  }
  out.texts.push([text, true, p.type, p.nsp, p.id === undefined ? "" : String(p.id), p.data === undefined ? "" : JSON.stringify(p.data), p.attachments ?? 0]);
}

// Frames: what a server of the reference sends.
const place = { room: "chat:lobby", offset: 42, pos: "AAAAAAAB.42.AAAAAAAC" };
for (const nsp of ["/", "/custom"]) {
  const one = (p) => "4" + encode({ nsp, ...p })[0];
  out.frames[nsp] = {
    "an event": one({ type: 2, data: ["connected", { connectionId: "c1" }] }),
    "an event without data": one({ type: 2, data: ["pong", null] }),
    "a reply": one({ type: 3, id: 17, data: [{ ok: true, event: "room_joined", data: { room: "chat:lobby" } }] }),
    "a reply without data": one({ type: 3, id: 0, data: [{ ok: true, event: "pong", data: null }] }),
    "an error": one({ type: 3, id: 17, data: [{ ok: false, error: { code: "forbidden", message: "no" } }] }),
    "an error without a request": one({ type: 2, data: ["error", { code: "forbidden", message: "no" }] }),
    "a publication with history": one({ type: 2, data: ["message", { text: "hi" }, place] }),
    "a publication without history": one({ type: 2, data: ["message", [1], { room: "chat:lobby" }] }),
    "a publication to everyone": one({ type: 2, data: ["notice", "down at 8"] }),
    "a publication that skipped": one({ type: 2, data: ["message", { text: "hi" }, { ...place, skipped: 12 }] }),
    "a publication to everyone that skipped": one({ type: 2, data: ["notice", "down at 8", { skipped: 12 }] }),
    "a connect": one({ type: 0, data: { sid: "s-1" } }),
    "a connect with recovery": one({ type: 0, data: { sid: "s-1", pid: "p_1" } }),
    "a refusal": one({ type: 4, data: { message: "Invalid namespace" } }),
    "a refusal with data": one({ type: 4, data: { message: "no \"token\"", data: { code: "unauthenticated" } } }),
    "a disconnect": one({ type: 1 }),
    "an event with a callback": one({ type: 2, id: 5, data: ["question", 1, { a: 2 }] }),
  };
}
// Client: what the real client sends, in order, when it is used like this.
async function client() {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((r) => server.on("listening", r));
  let connections = 0;
  const done = new Promise((resolve) => {
    server.on("connection", (ws) => {
      const first = ++connections === 1;
      ws.send('0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}');
      ws.on("message", (data, isBinary) => {
        const text = isBinary ? undefined : data.toString();
        out.client.push(isBinary ? ["binary", hex(data)] : ["text", text]);
        if (text === "40" || text?.startsWith("40{")) {
          ws.send('40{"sid":"s-1","pid":"p_1"}');
          if (first) ws.send('42["tick",1,"offset-1"]'), ws.send('422["question",{"n":1}]');
          else resolve();
        } else if (text?.startsWith("40/custom,")) {
          ws.send('40/custom,{"sid":"s-2"}');
        } else if (text?.startsWith("41/custom")) {
          ws.terminate(); // it connects again, and asks for its session
        }
      });
    });
  });
  const url = `http://127.0.0.1:${server.address().port}`;
  const opts = { transports: ["websocket"], reconnectionDelay: 10, auth: { token: "t", since: { "chat:lobby": "AAAAAAAB.42.AAAAAAAC" } } };
  const root = io(url, opts);
  const custom = root.io.socket("/custom", { auth: (cb) => cb({ token: "u" }) });
  root.on("question", (data, callback) => {
    callback({ answer: data.n }, Buffer.from([1, 2]));
    root.emit("join_room", { room: "chat:lobby" }, () => {});
    root.emit("message", "several", 2, { three: undefined });
    root.emit("file", { name: "a.bin", body: Buffer.from([0, 255]) }, Buffer.from("x"), () => {});
    root.timeout(60000).emit("nothing", () => {});
    custom.emit("later", 1);
    setTimeout(() => custom.disconnect(), 100);
  });
  await done;
  root.disconnect();
  server.close();
  server.clients.forEach((c) => c.terminate());
}

client().then(() => {
  process.stdout.write("{\n" + Object.entries(out).map(([k, v]) => JSON.stringify(k) + ":" + (Array.isArray(v)
  ? "[\n" + v.map((x) => JSON.stringify(x)).join(",\n") + "\n]" : JSON.stringify(v, null, 1))).join(",\n") + "\n}\n",
  () => process.exit(0));
});
