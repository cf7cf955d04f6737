// Evaluates the lines of its input, one after the other: io is an Emitter of
// the key, io2 of another namespace, client the connection of both. Run it in
// the folder that the packages are installed in.
//   node publish.js PORT KEY < lines
const { createRequire } = require("module");
const { createInterface } = require("readline");
const local = createRequire(process.cwd() + "/");
const { Emitter } = local("@socket.io/redis-emitter");
const { createClient } = local("redis");

async function main() {
  const [port, key] = process.argv.slice(2);
  const client = createClient({ url: `redis://127.0.0.1:${port}` });
  client.on("error", (e) => { throw e; });
  await client.connect();
  const io = new Emitter(client, { key });
  for await (const line of createInterface({ input: process.stdin })) {
    new Function("io", "io2", "client", line)(io, io.of("/admin"), client);
  }
  await client.quit(); // after what was published
}
main().catch((e) => { console.error(e); process.exit(1); });
