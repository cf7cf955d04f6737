// Live: what the fleet and its instances do now, as charts that go on.

import { el } from '../dom.js';
import { draw, legend } from './live-charts.js';
import { KEPT, Model } from './live-model.js';
import { act, bytes, card, missing, table } from './lookup-parts.js';

const EVERY_MS = 2000;
const MOST_LINES = 6; // beside the fleet's: more cannot be told apart
const WIDTHS = [30, 60, KEPT]; // points that a chart has room for, while there are few
const ROWS = 15; // of the charts as tables

const number = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3, notation: 'compact' });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const known = (format) => (value) => (value === null || value === undefined ? '—' : format(value));
const plain = known((n) => number.format(n));
const rate = known((n) => `${number.format(n)}/s`);
const ms = known((n) => (n < 0.01 ? `${number.format(n * 1000)} µs` : `${number.format(n)} ms`));

// The charts. lines are figures of the fleet that are drawn together; a chart
// with one of them has the instances' too.
const CHARTS = [
  { id: 'connections', title: 'Connections', lines: [['connections', 'Fleet']], format: plain },
  { id: 'deliveries', title: 'Deliveries per second', lines: [['deliveries', 'Fleet']], format: rate },
  { id: 'latency', title: 'Publish until stored', lines: [['p99', '99 % within'], ['p50', '50 % within']], format: ms },
  { id: 'messages', title: 'Messages of clients per second', lines: [['messages', 'Fleet']], format: rate },
  { id: 'errors', title: 'Errors told to clients per second', lines: [['errors', 'Fleet']], format: rate },
  { id: 'slow', title: 'Slow consumers and gaps per second', lines: [['slowCuts', 'Connections cut'], ['leftOut', 'Publications left out'], ['gaps', 'Gaps of rooms']], format: rate },
];

const TILES = [
  ['connections', 'Connections', plain], ['deliveries', 'Deliveries', rate], ['messages', 'Messages', rate],
  ['p50', 'Publish, median', ms], ['p99', 'Publish, 99 %', ms], ['errors', 'Errors', rate],
  ['slowCuts', 'Slow, cut', rate], ['queueBytes', 'Waiting for clients', known(bytes)],
];

export const view = {
  id: 'live',
  title: 'Live',
  needsKey: true,

  open(root, app) {
    const ended = new AbortController();
    const page = { app, signal: ended.signal };
    const model = new Model();
    const places = build(root, page);
    let busy = false;

    async function look() {
      if (busy || document.hidden || !app.api.hasKey) return;
      busy = true;
      try {
        const [statistics, list] = await Promise.all([app.api.get('/statistics', {}, page), app.api.get('/instances', {}, page)]);
        if (ended.signal.aborted) return;
        tell(app, model.take(statistics, Date.now()));
        show(places, model, list.instances);
        places.status.textContent = `Up to date at ${clock.format(Date.now())}, every ${EVERY_MS / 1000} seconds.`;
        delete places.status.dataset.stale;
      } catch (err) {
        if (ended.signal.aborted) return;
        places.status.textContent = `Not up to date: ${err.message}`;
        places.status.dataset.stale = '';
      } finally {
        busy = false;
      }
    }

    const timer = setInterval(look, EVERY_MS);
    const listening = { signal: ended.signal };
    document.addEventListener('visibilitychange', look, listening);
    addEventListener('resize', () => { if (model.latest) drawCharts(places, model); }, listening);
    act(page, look);
    return () => {
      clearInterval(timer);
      ended.abort();
    };
  },
};

function build(root) {
  const places = {
    status: el('p', { class: 'hint live-status', 'data-testid': 'live-status' }, 'Looking…'),
    missing: el('div', {}),
    tiles: new Map(TILES.map(([figure]) => [figure, el('dd', { 'data-testid': `live-${figure}` }, '—')])),
    instances: el('div', { 'data-testid': 'live-instances' }),
    legend: el('ul', { class: 'live-legend', 'aria-label': 'Lines of the charts' }),
    figures: new Map(CHARTS.map(({ id }) => [id, el('div', { class: 'live-figure' })])),
    numbers: el('div', {}),
  };
  root.append(places.status, places.missing,
    el('dl', { class: 'live-tiles', 'aria-label': 'The fleet now' }, ...TILES.map(([figure, name]) => el('div', { class: 'card' }, el('dt', {}, name), places.tiles.get(figure)))),
    places.legend,
    el('div', { class: 'live-charts' }, ...CHARTS.map(({ id, title }) => card(`live-${id}`, title, [], places.figures.get(id)))),
    card('live-table', 'Instances', [], places.instances),
    el('details', { class: 'card', 'data-testid': 'live-numbers' }, el('summary', {}, 'The charts as a table'), places.numbers));
  return places;
}

function tell(app, { come, gone }) {
  const said = [...come.map((name) => `Instance ${name} has come.`), ...gone.map((name) => `Instance ${name} has gone.`)];
  if (said.length) app.announce(said.join(' '));
}

function show(places, model, list) {
  const { fleet } = model.latest;
  for (const [figure, , format] of TILES) places.tiles.get(figure).textContent = format(fleet[figure]);
  const away = model.missing.join('\n');
  if (places.missing.dataset.names !== away) { // said once, not with every look
    places.missing.dataset.names = away;
    places.missing.replaceChildren(missing(model.missing) || '');
  }
  drawCharts(places, model);
  keep(places.instances, instances(model, list));
  keep(places.numbers, numbers(model));
}

// Replaces what is shown, and leaves the focus and the place where they were.
function keep(place, content) {
  const old = place.querySelector('.scroll');
  const [left, held] = [old?.scrollLeft, old === document.activeElement && old !== null];
  place.replaceChildren(content);
  const now = place.querySelector('.scroll');
  if (now && left) now.scrollLeft = left;
  if (now && held) now.focus({ preventScroll: true });
}

// The instances whose lines are drawn: those with the most connections.
function drawn(model) {
  const most = (key) => Math.max(0, ...model.series('connections', key).filter((n) => n !== null));
  const all = model.keys();
  const chosen = new Set([...all].sort((a, b) => most(b) - most(a)).slice(0, MOST_LINES));
  return all.length > 1 ? all.filter((key) => chosen.has(key)) : [];
}

function drawCharts(places, model) {
  const times = model.points.map((point) => point.at);
  const kept = WIDTHS.find((n) => n * EVERY_MS >= times.at(-1) - times[0]) ?? KEPT;
  const keys = drawn(model);
  const styles = keys.map((key, i) => ({ name: model.name(key), style: `one one-${i}`, key }));
  for (const { id, title, lines, format } of CHARTS) {
    const series = lines.map(([figure, name], i) => ({ name, style: lines.length > 1 ? `one one-${i}` : 'fleet', values: model.series(figure) }));
    if (lines.length === 1) series.push(...styles.map((s) => ({ ...s, values: model.series(lines[0][0], s.key) })));
    draw(places.figures.get(id), { title, series, times, span: kept * EVERY_MS, gap: 3 * EVERY_MS, format });
    if (lines.length > 1) places.figures.get(id).append(el('ul', { class: 'live-legend' }, ...legend(series)));
  }
  const meant = [{ name: 'Fleet', style: 'fleet' }, ...styles];
  const text = meant.map((s) => s.name).join('\n');
  if (places.legend.dataset.text === text) return;
  places.legend.dataset.text = text;
  places.legend.replaceChildren(...legend(meant));
}

function instances(model, list) {
  const rows = [...model.latest.instances.values()].map(({ name, figures: f }) => {
    const told = list.find((one) => one.instance === name);
    return [name, told?.state ?? '—', plain(f.connections), rate(f.deliveries), rate(f.messages), ms(f.p50), ms(f.p99), rate(f.errors), rate(f.slowCuts),
      bytes(f.queueBytes), told ? `${Math.round(100 * told.cpu)} %` : '—', told ? bytes(told.memory) : '—'];
  });
  return table('Instances now', ['Instance', 'State', 'Connections', 'Deliveries', 'Messages', 'Publish 50 %', '99 %', 'Errors', 'Slow, cut', 'Waiting', 'CPU', 'Memory'],
    rows, 'No instance answers.');
}

function numbers(model) {
  const columns = CHARTS.flatMap(({ title, lines, format }) => lines.map(([figure, name]) => [figure, lines.length > 1 ? `${title}, ${name}` : title, format]));
  const rows = model.points.slice(-ROWS).reverse().map((point) => [clock.format(point.at), ...columns.map(([figure, , format]) => format(point.fleet[figure]))]);
  return table('The fleet over time, newest first', ['Time', ...columns.map(([, title]) => title)], rows, 'Nothing yet.');
}
