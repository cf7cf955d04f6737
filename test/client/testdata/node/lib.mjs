// What the scripts of this folder share.
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';

export { assert };

/** What the test says on the command line. */
export const args = JSON.parse(process.argv[2] ?? '{}');

let lines = null; // of the test's answers, read once something is asked
let answers;

/** Has the test do something, and returns what it says. */
export async function ask(what) {
  if (!lines) {
    lines = createInterface({ input: process.stdin });
    answers = lines[Symbol.asyncIterator]();
  }
  console.log(`ask ${what}`);
  const { value, done } = await answers.next();
  if (done) throw new Error('the test has gone');
  return value;
}

/** Imports the client as the gateway serves it. */
export async function load(base = args.http) {
  const response = await fetch(`${base}/client.js`);
  assert.equal(response.status, 200);
  return import(`data:text/javascript;base64,${Buffer.from(await response.text()).toString('base64')}`);
}

/** Waits until something holds, and returns it. */
export async function until(what, holds, patience = 20_000) {
  for (const begun = Date.now(); Date.now() - begun < patience; await sleep(5)) {
    const value = await holds();
    if (value) return value;
  }
  throw new Error(`waited ${patience} ms in vain until ${what}`);
}

export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Waits for a state of a client. */
export async function reaches(client, state) {
  await until(`the client is ${state}, not ${client.state}`, () => client.state === state);
}

/** What a promise rejects with. */
export async function refusal(promise) {
  try {
    await promise;
  } catch (err) {
    return err;
  }
  throw new assert.AssertionError({ message: 'it was not refused' });
}

/** Publishes as a backend. */
export async function backend(path, body, admin = args.admin) {
  const response = await fetch(`${admin}/api/v1/${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${args.key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  return answer;
}

/** All that a room tells, as [event, data, meta]. */
export function record(room) {
  const seen = [];
  room.on('*', (event, data, meta) => seen.push([event, data, meta]));
  return seen;
}

/** Timers that are running. */
export const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

/** Runs cases one after the other. Each closes what it opened by client(). The
 * process must then end by itself: a timer or socket left over would keep it. */
export async function run(connect, cases) {
  let failed = 0;
  const only = args.only;
  for (const [name, test] of Object.entries(cases)) {
    if (only && !name.includes(only)) continue;
    const opened = [];
    const open = (...given) => {
      const client = connect(...given);
      opened.push(client);
      return client;
    };
    const begun = Date.now();
    try {
      await test(open);
      console.log(`ok ${name} (${Date.now() - begun} ms)`);
    } catch (err) {
      failed++;
      console.log(`FAILED ${name}: ${err.stack}`);
    }
    for (const client of opened) client.close();
  }
  lines?.close();
  process.stdin.unref();
  if (failed > 0) process.exitCode = 1;
}
