// Tokens that run out, are refused, or cannot be verified. The auth service is
// the test's: a token is "user.milliseconds.number", and lasts that long from its first
// use on.
import { args, ask, assert, backend, load, reaches, record, run, until } from './lib.mjs';

const { connect } = await load();

const quick = { minDelay: 20, maxDelay: 200 };
let count = 0;
const token = (user, life) => `${user}.${life}.${++count}`;

function follow(client) {
  const states = [];
  client.on('state', (state, { code }) => states.push(code === undefined ? state : `${state} ${code}`));
  return states;
}

await run(connect, {
  async 'a token that runs out is replaced on the live connection'(open) {
    let asked = 0;
    const client = open(args.ws, { ...quick, token: async () => token('ann', ++asked < 3 ? 3000 : 600_000) });
    const states = follow(client);
    const seen = record(client.room('a'));
    await client.room('a').joined;
    const { connectionId } = client.identity;
    await until('a third token is in use', () => asked === 3);
    await client.room('a').publish('n', 1);
    await new Promise((done) => { setTimeout(done, 3500); }); // longer than the first two last
    await client.room('a').publish('n', 2);
    assert.equal(client.identity.connectionId, connectionId);
    await until('both are heard', () => seen.length === 2);
    assert.ok(!states.some((state) => state.startsWith('waiting')), states);
    await client.refresh();
    assert.equal(asked, 4);
  },

  async 'a token that ran out is replaced by a new connection, which misses nothing'(open) {
    let same = token('ann', 2000);
    const client = open(args.ws, { ...quick, token: () => same });
    const states = follow(client);
    const seen = record(client.room('b'));
    await client.room('b').joined;
    client.on('state', (state) => { if (state === 'waiting') same = token('ann', 600_000); });
    await until('the token runs out', () => states.includes('waiting 4002'));
    await backend('publish', { room: 'b', event: 'n', data: 1 });
    await until('it is heard', () => seen.length === 1);
    assert.equal(client.state, 'open');
  },

  async 'a token that is all there is ends with its time'(open) {
    const client = open(args.ws, { ...quick, token: token('ann', 1500) });
    const states = follow(client);
    await reaches(client, 'closed');
    assert.equal(states.at(-1), 'closed 4002');
  },

  async 'a refused token is asked for once more'(open) {
    let asked = 0;
    const client = open(args.ws, { ...quick, token: () => (++asked === 1 ? 'wrong' : token('ann', 600_000)) });
    const states = follow(client);
    await reaches(client, 'open');
    assert.deepEqual(states, ['waiting 4001', 'connecting', 'open']);
    const wrong = open(args.ws, { ...quick, token: () => 'wrong' });
    const ends = follow(wrong);
    await reaches(wrong, 'closed');
    assert.deepEqual(ends, ['waiting 4001', 'connecting', 'closed 4001']);
  },

  async 'a callback that fails is told, and asked again'(open) {
    let asked = 0;
    const client = open(args.ws, {
      ...quick,
      token() {
        if (++asked === 1) throw new Error('the page is logged out');
        return token('ann', 600_000);
      },
    });
    const errors = [];
    client.on('error', (err) => errors.push([err.code, err.message]));
    await reaches(client, 'open');
    assert.deepEqual(errors, [['unauthenticated', 'no token: the page is logged out']]);
  },

  async 'while the auth service is away nobody is sent away for good'(open) {
    await ask('away');
    const client = open(args.ws, { ...quick, token: () => token('ann', 600_000) });
    const states = follow(client);
    await until('it is tried again', () => states.filter((state) => state === 'waiting 1013').length >= 2);
    await ask('back');
    await reaches(client, 'open');
  },

  async 'a refresh that is refused is an error, and the connection stays'(open) {
    let next = token('ann', 600_000);
    const client = open(args.ws, { ...quick, token: () => next });
    await reaches(client, 'open');
    next = token('bob', 600_000);
    await assert.rejects(client.refresh(), { code: 'forbidden' });
    next = 'wrong';
    await assert.rejects(client.refresh(), { code: 'unauthenticated' });
    assert.equal(client.state, 'open');
  },

  async 'a revoked user is sent away for good'(open) {
    const client = open(args.ws, { ...quick, token: () => token('eve', 600_000) });
    const states = follow(client);
    await reaches(client, 'open');
    await backend('revoke', { user: 'eve' });
    await reaches(client, 'closed');
    assert.equal(states.at(-1), 'closed 4003');
  },
});
