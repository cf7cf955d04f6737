// What the pages of Look up, and Configuration, are made of.

import { el } from '../dom.js';

export const address = (kind, name) => `#/lookup/${kind}/${encodeURIComponent(name)}`;

export function link(kind, name) {
  return el('a', { class: 'name', href: address(kind, name) }, name);
}

// A name as a step of a path of the API.
export function step(name) {
  if (name === '.' || name === '..') throw new Error(`A browser cannot ask for the name “${name}”: use curl and write its dots as %2E.`);
  return encodeURIComponent(name);
}

// A section with a heading, what can be done with it, and content.
export function card(id, title, actions, ...content) {
  return el('section', { class: 'card', 'aria-labelledby': `h-${id}`, 'data-testid': id },
    el('div', { class: 'heading' }, el('h2', { id: `h-${id}` }, title), el('div', { class: 'actions' }, ...actions)),
    ...content);
}

export function button(id, text, onclick, kind = '') {
  return el('button', { type: 'button', id, class: kind, 'data-testid': id, onclick }, text);
}

// Terms and what they are; those that are null are left out.
export function facts(pairs) {
  return el('dl', { class: 'lookup-facts' }, ...pairs.filter(([, what]) => what !== null && what !== undefined && what !== '')
    .map(([term, what]) => el('div', {}, el('dt', {}, term), el('dd', {}, what))));
}

// A table. rows are arrays of cells, the first of which names its row. A wide
// one scrolls in its own place, by keyboard too.
export function table(caption, heads, rows, empty) {
  if (rows.length === 0) return el('p', { class: 'hint' }, empty);
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `${caption}, table` },
    el('table', {}, el('caption', { class: 'unseen' }, caption),
      el('thead', {}, el('tr', {}, ...heads.map((head) => el('th', { scope: 'col' }, head)))),
      el('tbody', {}, ...rows.map(([name, ...cells]) => el('tr', {},
        el('th', { scope: 'row' }, name), ...cells.map((cell) => el('td', {}, cell)))))));
}

// A list that comes in pages: load(after) resolves to {rows, next}, and draw
// makes what is shown of all rows so far.
export async function pages(page, id, load, draw) {
  const place = el('div', { class: 'stack' });
  let rows = [];
  async function more(after) {
    const got = await load(after);
    if (page.signal.aborted) return;
    const before = rows.length;
    rows = rows.concat(got.rows);
    place.replaceChildren(draw(rows));
    if (got.next) place.append(el('div', { class: 'actions' }, button(`${id}-more`, 'Show more', () => act(page, () => more(got.next)))));
    if (before === 0) return;
    page.app.announce(`${rows.length} are shown.`);
    (document.getElementById(`${id}-more`) ?? place.querySelector('.scroll'))?.focus();
  }
  await more(undefined);
  return place;
}

// Does something that may fail, and says so if it does.
export async function act(page, what) {
  try {
    await what();
  } catch (err) {
    if (!page.signal.aborted) page.app.notice('error', err.message);
  }
}

// Shows a page as it is now, and once more when what was done has had time to
// happen: goodbyes are polite, and instances tell of themselves now and then.
export async function drawTwice(page) {
  const timer = setTimeout(() => act(page, () => page.draw()), 1500);
  page.signal.addEventListener('abort', () => clearTimeout(timer));
  await page.draw();
}

// Names the instances that an answer is without.
export function missing(names) {
  return names?.length ? el('p', { class: 'lookup-missing', role: 'status', 'data-testid': 'missing' },
    `No answer from ${names.join(', ')}: what is there is not shown or counted.`) : false;
}

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const ago = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });
const UNITS = [['day', 86_400_000], ['hour', 3_600_000], ['minute', 60_000], ['second', 1000]];

// A moment, in Unix milliseconds.
export function at(ms) {
  const date = new Date(ms);
  return el('time', { datetime: date.toISOString() }, clock.format(date));
}

// A moment and how far it is from now.
export function moment(ms) {
  if (!ms) return 'not known';
  const far = ms - Date.now();
  const [unit, size] = UNITS.find(([, size]) => Math.abs(far) >= size) ?? UNITS.at(-1);
  const time = at(ms);
  time.append(` (${ago.format(Math.trunc(far / size), unit)})`);
  return time;
}

// A time span in milliseconds, in short.
export function span(ms) {
  const [unit, size] = UNITS.find(([, size]) => ms >= size && ms % size === 0) ?? ['millisecond', 1];
  return `${ms / size} ${unit}${ms === size ? '' : 's'}`;
}

export function bytes(n) {
  if (n < 1024) return `${n} B`;
  return n < 1 << 20 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / (1 << 20)).toFixed(1)} MiB`;
}

export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

// The protocol of a connection, and what carries it.
export const carried = (c) => [c.protocol, c.transport].filter(Boolean).join(' over ') || 'not known';
