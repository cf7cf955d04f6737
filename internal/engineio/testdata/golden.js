// Writes golden.json: what the reference implementation of the protocol says.
// Run it with Node in a folder outside the module, after
//   npm install engine.io engine.io-parser ws
//   node golden.js > golden.json
// The tests read golden.json alone.
const http = require("node:http");
const { encodePacket, encodePayload, decodePayload, decodePacket } = require("engine.io-parser");
const { Server } = require("engine.io");

const hex = (data) => Buffer.from(data).toString("hex");
const row = (p) => (typeof p.data === "string" || p.data === undefined
  ? { type: p.type, data: p.data ?? "" }
  : { type: p.type, binary: true, data: hex(p.data) });

const packets = [
  { type: "close" }, { type: "ping" }, { type: "pong" }, { type: "upgrade" }, { type: "noop" },
  { type: "ping", data: "probe" }, { type: "pong", data: "probe" },
  { type: "message", data: "" }, { type: "message", data: "hello" }, { type: "message", data: "€ 😀 \u2028 \"'\\\n" },
  { type: "message", data: '2["message",{"text":"hi"}]' }, { type: "message", data: "b64" },
  { type: "message", data: Buffer.alloc(0) }, { type: "message", data: Buffer.from([1]) },
  { type: "message", data: Buffer.from([1, 2]) }, { type: "message", data: Buffer.from([1, 2, 3]) },
  { type: "message", data: Buffer.from([0xfb, 0xff, 0xfe, 0x1e, 0x00]) },
  { type: "message", data: Buffer.from(Array.from({ length: 256 }, (_, i) => i)) },
];

const call = (port, method, path) => new Promise((resolve, reject) => {
  const req = http.request({ port, method, path }, (res) => {
    let body = "";
    res.on("data", (c) => (body += c));
    res.on("end", () => resolve({ status: res.statusCode, type: res.headers["content-type"], body }));
  });
  req.on("error", reject);
  req.end();
});

async function main() {
  const out = { packets: [], payloads: [], malformed: [], open: [], errors: [] };
  for (const p of packets) {
    encodePacket(p, false, (text) => out.packets.push({ text, packet: row(decodePacket(text)) }));
  }
  for (const list of [packets, packets.slice(0, 1), packets.slice(8, 10), packets.slice(12, 13), [...packets].reverse()]) {
    encodePayload(list, (text) => out.payloads.push({ text, packets: decodePayload(text).map(row) }));
  }
  for (const text of ["", "a", "7", "-1", "\x1e", "4a\x1e", "\x1e4a", "4a\x1e\x1e4b", "4a\x1e9", "4a\x1ebAQID\x1ez\x1e4b", " 4a", "abc", "B", "/"]) {
    const seen = decodePayload(text);
    if (seen.at(-1).type !== "error") throw new Error(text);
    out.malformed.push({ text, packets: seen.slice(0, -1).map(row) });
  }
  for (const opts of [{}, { pingInterval: 300, pingTimeout: 200, maxHttpBufferSize: 1000000 }, { maxHttpBufferSize: 65536 }]) {
    const engine = new Server({ ...opts, allowRequest: (req, fn) => (req.url.includes("refuse") ? fn("Forbidden", false) : fn(null, true)) });
    engine.generateId = () => "aBc-_0123456789";
    const server = http.createServer((req, res) => engine.handleRequest(req, res)).listen(0, "127.0.0.1");
    await new Promise((r) => server.on("listening", r));
    const { port } = server.address();
    const first = await call(port, "GET", "/engine.io/?EIO=4&transport=polling");
    out.open.push({ transport: "polling", text: first.body, opts });
    if (out.errors.length === 0) {
      const ask = async (method, path) => out.errors.push(await call(port, method, path));
      await ask("GET", "/engine.io/?EIO=4&transport=abc");
      await ask("GET", "/engine.io/?EIO=4&transport=polling&sid=zzz");
      await ask("POST", "/engine.io/?EIO=4&transport=polling");
      await ask("GET", "/engine.io/?EIO=4&transport=websocket");
      await ask("GET", "/engine.io/?EIO=4&transport=polling&refuse");
      await ask("GET", "/engine.io/?EIO=3&transport=polling");
    }
    engine.attach(server);
    const ws = new (require("ws").WebSocket)(`ws://127.0.0.1:${port}/engine.io/?EIO=4&transport=websocket`);
    const text = await new Promise((r) => ws.on("message", (m) => r(m.toString())));
    out.open.push({ transport: "websocket", text, opts });
    ws.terminate();
    engine.close();
    server.close();
    server.closeAllConnections();
  }
  process.stdout.write(JSON.stringify(out, null, 1) + "\n");
}
main();
