// A link on which nothing passes any more, and which nobody closes.
import { args, ask, assert, backend, load, record, run, sleep, until } from './lib.mjs';

const { connect } = await load();

const quick = { minDelay: 20, maxDelay: 200 };

await run(connect, {
  async 'silence is noticed by a ping without an answer'(open) {
    const ann = open(args.link, { ...quick, token: 'ann', connectTimeout: 500 });
    const states = [];
    ann.on('state', (state, { code, reason }) => states.push([state, code, reason]));
    const seen = record(ann.room('silence'));
    await ann.room('silence').joined;
    const opened = states.length;
    await sleep(3 * ann.identity.heartbeatMs); // pings are answered: an idle connection stays
    assert.equal(states.length, opened);
    await ask('silent');
    await backend('publish', { room: 'silence', event: 'n', data: 1 });
    const late = ann.room('silence').publish('n', 2);
    await until('it is noticed', () => states.some(([, , reason]) => reason === 'no answer to a ping'));
    await until('an attempt fails as well', () => states.some(([, , reason]) => reason === 'no answer in time'));
    await ask('heal');
    await late;
    await until('all is heard', () => seen.length >= 2);
    assert.deepEqual(seen.map(([, n]) => n), [1, 2]);
  },
});
