// What the scripts have in common. They run in Node.js with NODE_PATH at the
// installed packages; their first argument is the server's URL. A script that
// fails says why and ends with code 1.
const assert = require('assert');
const readline = require('readline');

const url = process.argv[2];
const patience = 20000; // bounds every wait for what must happen

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// within fails when a promise takes too long.
function within(promise, what, ms = patience) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`waited ${ms} ms in vain for ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// until waits until something holds.
async function until(holds, what) {
  for (const begun = Date.now(); !(await holds()); await sleep(5)) {
    if (Date.now() - begun > patience) throw new Error(`waited in vain until ${what}`);
  }
}

const cases = [];

// test adds a case. Those of a script run side by side, a few at a time.
function test(name, run) { cases.push({ name, run }); }

let width = 4;

// oneByOne makes the cases wait for each other.
function oneByOne() { width = 1; }

async function work(results) {
  for (let c = cases.shift(); c; c = cases.shift()) {
    const begun = Date.now();
    try {
      await within(Promise.resolve().then(c.run), 'the end of the case', 3 * patience);
      console.log(`passed ${c.name} (${Date.now() - begun} ms)`);
    } catch (e) {
      results.failed++;
      console.log(`FAILED ${c.name} (${Date.now() - begun} ms)\n${e.stack}`);
    }
    results.run++;
  }
}

setImmediate(async () => { // once the script has said its cases
  const results = { run: 0, failed: 0 };
  await Promise.all(Array.from({ length: width }, () => work(results)));
  console.log(`${results.run} cases, ${results.failed} failed`);
  process.exit(results.failed || !results.run ? 1 : 0); // connections that are open do not hold it up
});

// What an unhandled rejection of a case's leftovers says belongs to a failure.
process.on('unhandledRejection', (e) => {
  console.log(`FAILED by a promise that nobody waits for\n${e && e.stack}`);
  process.exit(1);
});

let lines;

// ask has the test do something, such as stop the server, and returns what it
// says then.
async function ask(what) {
  lines = lines || readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  console.log('ask ' + what);
  const { value, done } = await within(lines.next(), `an answer to ${what}`, 3 * patience);
  if (done) throw new Error('the test has gone');
  return value;
}

module.exports = { assert, ask, oneByOne, patience, sleep, test, until, url, within };
