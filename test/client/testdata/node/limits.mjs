// More rooms and messages than the gateway's limits, or a slow reader, take at once.
import { args, ask, assert, backend, load, record, run, until } from './lib.mjs';

const { connect } = await load();

const quick = { minDelay: 20, maxDelay: 200 };
const upTo = (n) => Array.from({ length: n }, (_, i) => i + 1);

await run(connect, {
  async 'many rooms and publishes come in under the limits, without a flood'(open) {
    const client = open(args.ws, { token: 'ann', minDelay: 50, maxDelay: 500 });
    const states = [];
    client.on('state', (state) => states.push(state));
    const rooms = Array.from({ length: 150 }, (_, n) => client.room(`r${n}`));
    const published = rooms.map((room, n) => room.publish('n', n));
    await Promise.all(rooms.map((room) => room.joined));
    const offsets = (await Promise.all(published)).map(({ offset }) => offset);
    assert.deepEqual(new Set(offsets), new Set([1]));
    await until('it is open', () => client.state === 'open');
    assert.deepEqual(states.filter((state) => state === 'waiting'), []);
  },

  async 'slow rooms say what they have left out'(open) {
    const ann = open(args.link, { ...quick, token: 'ann' });
    const price = ann.room('price:1');
    const tick = ann.room('tick:1');
    const prices = record(price);
    const ticks = [];
    tick.on('n', (data, { offset }) => ticks.push(offset));
    tick.on('gap', (gap) => ticks.push(gap));
    await Promise.all([price.joined, tick.joined]);
    const text = 'x'.repeat(30_000);
    const flood = async () => {
      for (let round = 0; round < 12; round++) {
        for (const room of ['price:1', 'tick:1']) {
          await backend('publish/batch', {
            publications: upTo(20).map((n) => ({ room, event: 'n', data: { n, text }, conflateKey: `k${n % 4}` })),
          });
        }
      }
    };
    await ask('silent');
    await flood();
    await ask('heal');
    await backend('publish', { room: 'price:1', event: 'n', data: { n: 21 } });
    await backend('publish', { room: 'tick:1', event: 'n', data: { n: 21 } });
    await until('the last ones come', () => ticks.at(-1) === 241 && prices.at(-1)?.[2].offset === 241);
    let last = 0;
    let skipped = 0;
    for (const [, , meta] of prices) {
      assert.equal(meta.offset, last + 1 + (meta.skipped ?? 0));
      last = meta.offset;
      skipped += meta.skipped ?? 0;
    }
    assert.ok(skipped > 0, 'it has not been slow');
    last = 0;
    for (const what of ticks) {
      const from = typeof what === 'number' ? what - 1 : what.from;
      assert.equal(from, last);
      last = typeof what === 'number' ? what : what.offset;
    }
    assert.ok(ticks.some((what) => what.reason === 'slow'), 'it has not been slow');
  },
});
