// The exports of client.js and client.d.ts are the same.
import { args, assert, load, run } from './lib.mjs';

const { connect, ...others } = await load();

await run(connect, {
  async 'what is declared is there, and nothing else'() {
    const declared = await (await fetch(`${args.http}/client.d.ts`)).text();
    const names = (pattern) => [...declared.matchAll(pattern)].map(([, name]) => name).sort();
    assert.deepEqual(names(/^export (?:class|function) (\w+)/gm), ['Client', 'GatewayError', 'Room', 'connect']);
    assert.deepEqual(Object.keys({ connect, ...others }).sort(), ['Client', 'GatewayError', 'Room', 'connect']);
    for (const name of ['Client', 'Room']) {
      const start = declared.indexOf(`export class ${name}`);
      const body = declared.slice(start, declared.indexOf('\n}', start));
      const members = new Set([...body.matchAll(/^ {2}(?:readonly )?(\w+)[(<:]/gm)].map(([, member]) => member));
      const { prototype } = others[name];
      const there = new Set();
      for (let level = prototype; level !== Object.prototype; level = Object.getPrototypeOf(level)) {
        for (const member of Object.getOwnPropertyNames(level)) if (!member.startsWith('_') && member !== 'constructor') there.add(member);
      }
      if (name === 'Room') there.add('name');
      assert.deepEqual([...members].sort(), [...there].sort(), name);
    }
  },
});
