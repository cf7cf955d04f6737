// What the Live view knows: the differences of what instances have counted.

export const KEPT = 150; // points: five minutes at one every two seconds

// The figures of one instance, or of all, at one moment. Rates are per second
// since the moment before; null where nothing is known of that.
//
//   connections, rooms, memberships, queueBytes   now
//   messages, published, deliveries, bytesOut, connects, disconnects, errors   per second
//   slowCuts, leftOut, gaps                       per second
//   p50, p99                                      ms, of publishes since the moment before
//   buckets                                       those publishes, by upper bound
const NOW = ['connections', 'rooms', 'memberships', 'queueBytes'];
const RATES = ['messages', 'published', 'deliveries', 'bytesOut', 'connects', 'disconnects', 'errors', 'slowCuts', 'leftOut', 'gaps'];

export class Model {
  points = []; // {at, fleet, instances: Map of key to {name, figures}}
  missing = []; // instances that did not answer the last question
  #last = new Map(); // key to the last answer
  #present = null; // names of the instances that live, those that did not answer included

  // Takes an answer of GET /statistics. Returns the names of instances that have
  // come and gone since the one before.
  take(answer, at) {
    const instances = new Map();
    const before = this.#last;
    this.missing = answer.missing ?? [];
    this.#last = new Map(answer.instances.map((one) => [keyOf(one), flat(one)]));
    for (const [key, one] of this.#last) {
      instances.set(key, { name: one.instance, figures: between(before.get(key), one) });
    }
    for (const [key, one] of before) { // what they have counted meanwhile shows once they answer again
      if (this.missing.includes(one.instance) && !this.#last.has(key)) this.#last.set(key, one);
    }
    // The figures of a fleet of which a part is missing would be those of a dip.
    const fleet = together(this.missing.length ? [] : [...instances.values()].map((i) => i.figures));
    this.points.push({ at, fleet, instances });
    if (this.points.length > KEPT) this.points.shift();
    const had = this.#present;
    const has = this.#present = new Set([...answer.instances.map((one) => one.instance), ...this.missing]);
    if (!had) return { come: [], gone: [] };
    return { come: [...has].filter((name) => !had.has(name)), gone: [...had].filter((name) => !has.has(name)) };
  }

  get latest() { return this.points.at(-1); }

  // The keys of instances in any point, in the order of their names.
  keys() {
    const names = new Map();
    for (const point of this.points) for (const [key, { name }] of point.instances) names.set(key, name);
    return [...names].sort(([a, x], [b, y]) => x.localeCompare(y) || a.localeCompare(b)).map(([key]) => key);
  }

  // The values of one figure over time: of the fleet, or of an instance.
  series(figure, key) {
    return this.points.map((point) => (key === undefined ? point.fleet : point.instances.get(key)?.figures)?.[figure] ?? null);
  }

  name(key) {
    return this.points.findLast((point) => point.instances.has(key))?.instances.get(key).name;
  }
}

// An instance that began anew is another one: its counts begin at nothing.
function keyOf(one) {
  return `${one.instance} ${one.startedAt}`;
}

function flat(one) {
  const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);
  return {
    ...one, disconnects: sum(one.disconnects), errors: sum(one.errors),
    publishes: new Map(one.latencies.publish?.buckets.map((b) => [b.upToMs, b.count])),
  };
}

function between(before, after) {
  const out = Object.fromEntries(NOW.map((name) => [name, after[name]]));
  const seconds = before ? (after.at - before.at) / 1000 : 0;
  for (const name of RATES) out[name] = seconds > 0 ? Math.max(0, after[name] - before[name]) / seconds : null;
  out.buckets = new Map();
  if (seconds > 0) {
    for (const [bound, n] of after.publishes) {
      const more = n - (before.publishes.get(bound) ?? 0);
      if (more > 0) out.buckets.set(bound, more);
    }
  }
  return percentiles(out);
}

function together(all) {
  const out = {};
  for (const name of NOW) out[name] = all.length ? all.reduce((sum, one) => sum + one[name], 0) : null;
  for (const name of RATES) {
    const known = all.map((one) => one[name]).filter((value) => value !== null);
    out[name] = known.length ? known.reduce((a, b) => a + b, 0) : null;
  }
  out.buckets = new Map();
  for (const one of all) for (const [bound, n] of one.buckets) out.buckets.set(bound, (out.buckets.get(bound) ?? 0) + n);
  return percentiles(out);
}

function percentiles(figures) {
  figures.p50 = quantile(figures.buckets, 0.5);
  figures.p99 = quantile(figures.buckets, 0.99);
  return figures;
}

// The bound that a share q of all did not exceed, null without any.
export function quantile(buckets, q) {
  const bounds = [...buckets].sort(([a], [b]) => a - b);
  let rank = Math.max(1, Math.ceil(q * bounds.reduce((sum, [, n]) => sum + n, 0)));
  for (const [bound, n] of bounds) {
    rank -= n;
    if (rank <= 0) return bound;
  }
  return null;
}
