// One client of the test of survival, in Node.js and in a browser.

/** Begins to publish and observe in a room through a link of its own. */
export function survive(connect, { url, user, room: name, options }) {
  const client = connect(url, { token: () => user, ...options });
  const room = client.room(name);
  const observed = []; // [offset, what]
  const acknowledged = {}; // what: offset
  const wrong = [];
  const losses = {}; // close code: how often
  room.on('n', (what, { offset }) => observed.push([offset, what]));
  room.on('gap', (gap) => wrong.push(`gap ${JSON.stringify(gap)}`));
  room.on('error', (err) => wrong.push(`room: ${err.code} ${err.message}`));
  client.on('state', (state, { code, reason }) => {
    if (state === 'waiting') losses[code] = (losses[code] ?? 0) + 1;
    if (state === 'closed') wrong.push(`closed ${code} ${reason}`);
  });
  let unanswered = 0;
  let count = 0;
  return {
    joined: () => room.joined,
    /** Publishes so many messages, one behind the other. */
    publish(n) {
      for (let i = 0; i < n; i++) {
        const what = `${user}-${++count}`;
        unanswered++;
        room.publish('n', what).then(({ offset }) => {
          unanswered--;
          acknowledged[what] = offset;
        }, (err) => wrong.push(`publish ${what}: ${err.code} ${err.message}`));
      }
    },
    state: () => ({ observed: observed.length, unanswered, wrong: wrong.length }),
    report() {
      const found = { user, observed, acknowledged, losses, wrong: [...wrong] };
      client.close();
      return found;
    },
  };
}
