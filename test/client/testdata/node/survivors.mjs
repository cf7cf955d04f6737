// The clients of the test of survival that run in Node.js. Commands come line by
// line; each is answered by a line of JSON.
import { createInterface } from 'node:readline';

import { survive } from '../survivor.mjs';
import { args, load } from './lib.mjs';

const { connect } = await load();
const clients = args.clients.map((client) => survive(connect, client));

const commands = {
  joined: () => Promise.all(clients.map((client) => client.joined())),
  publish: (n) => clients.forEach((client) => client.publish(n)),
  state: () => clients.map((client) => client.state()),
  report: () => clients.map((client) => client.report()),
};

const lines = createInterface({ input: process.stdin });
lines.on('line', async (line) => { // the next one comes after the answer
  const [command, n] = line.split(' ');
  console.log(JSON.stringify(await commands[command](Number(n)) ?? null));
  if (command !== 'report') return;
  lines.close();
  process.stdin.unref();
});
