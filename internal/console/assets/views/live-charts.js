// Line charts as SVG. Colours and widths are classes of live.css: the policy of
// the page allows no styles within it. Lines differ by their dashes too.

import { el, svg } from '../dom.js';

const HEIGHT = 170;
const LEFT = 52;
const BOTTOM = 22;
const TOP = 10;
const RIGHT = 8;

// Draws into figure what series hold: [{name, style, values}], the values of the
// moments of times, null where nothing is known. The chart spans the last so many
// ms; a line is broken where moments are further apart than gap.
export function draw(figure, { title, series, times, span, gap, format }) {
  const width = Math.max(figure.clientWidth, 220);
  const high = nice(Math.max(0, ...series.flatMap((s) => s.values.filter((v) => v !== null))));
  const end = times.at(-1);
  const x = (i) => LEFT + (width - LEFT - RIGHT) * (1 - (end - times[i]) / span);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / high);
  const chart = svg('svg', {
    viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: 'img', 'aria-label': say(title, series[0], format), class: 'chart',
  });
  for (const part of [0, 0.5, 1]) {
    const at = y(high * part);
    chart.append(svg('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: at, y2: at }),
      svg('text', { class: 'tick', x: LEFT - 6, y: at + 4, 'text-anchor': 'end' }, format(high * part)));
  }
  chart.append(svg('text', { class: 'tick', x: LEFT, y: HEIGHT - 6 }, `${span / 60_000} min ago`),
    svg('text', { class: 'tick', x: width - RIGHT, y: HEIGHT - 6, 'text-anchor': 'end' }, 'now'));
  for (const s of [...series].reverse()) { // the first lies on top
    for (const run of runs(s.values, times, end - span, gap)) {
      const points = run.map(([i, value]) => `${round(x(i))},${round(y(value))}`);
      if (points.length === 1) points.push(points[0]);
      chart.append(svg('polyline', { class: `line ${s.style}`, points: points.join(' ') }));
    }
  }
  figure.replaceChildren(chart);
}

// What the lines of all charts mean.
export function legend(series) {
  return series.map(({ name, style }) => el('li', {},
    svg('svg', { width: 26, height: 10, viewBox: '0 0 26 10', 'aria-hidden': 'true' },
      svg('line', { class: `line ${style}`, x1: 1, x2: 25, y1: 5, y2: 5 })), name));
}

// The stretches of known values from a moment on, as [index, value].
function runs(values, times, from, gap) {
  const all = [];
  let run = null;
  values.forEach((value, i) => {
    if (times[i] - times[i - 1] > gap) run = null;
    if (value === null || times[i] < from) run = null;
    else if (run) run.push([i, value]);
    else all.push(run = [[i, value]]);
  });
  return all;
}

// The next of 1, 2, 5, 10, 20, … that is not below a value.
export function nice(value) {
  if (value <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((n) => n * size).find((n) => n >= value * 0.999999) ?? 10 * size;
}

function say(title, { name, values }, format) {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return `${title}: nothing yet`;
  return `${title}, ${name}: now ${format(values.at(-1))}, between ${format(Math.min(...known))} and ${format(Math.max(...known))}`;
}

const round = (n) => Math.round(n * 10) / 10;
