// A room: its rule, where it stands, who is in it and what it has kept.

import { el } from '../dom.js';
import { show } from '../json.js';
import { button, card, count, facts, link, missing, moment, pages, span, step, table } from './lookup-parts.js';

const ONE_LINE = 80; // data up to so many characters is not spread over lines

// What happens to members that read too slowly, in plain words.
const SLOW = {
  disconnect: 'they are closed with 4008, and resume',
  drop_oldest: 'their oldest publications are dropped',
  conflate: 'conflated: only the latest publication of a key reaches them',
};

export async function room(page, name) {
  const { api } = page.app;
  const path = `/rooms/${step(name)}`;
  const [r, members] = await Promise.all([api.get(path, {}, page), list(page, name, path)]);
  return [
    card('room', `Room ${name}`, [button('refresh', 'Refresh', () => page.draw())], missing(r.missing), about(r)),
    card('members', `Members: ${count(r.connections, 'connection')}`, [], members),
    r.rule?.history ? card('history', 'History, oldest first', [], await history(page, name, path)) : false,
  ].filter(Boolean);
}

function about(r) {
  if (!r.rule) return el('p', { class: 'lookup-why' }, 'No rule of the policy in force matches this name: nobody can join it or publish to it.');
  const { rule } = r;
  return facts([
    ['Rule', el('code', {}, rule.match)],
    ['Who joins', rule.join],
    ['Who publishes', rule.publish],
    ['Keeps', rule.history
      ? `the last ${count(rule.history.size, 'publication')}${rule.history.ageMs ? ` for ${span(rule.history.ageMs)}` : ''}` : 'nothing: at most once, no resume'],
    ['Latest', r.offset === undefined ? null : `number ${r.offset}`],
    ['Position', r.pos ? el('code', {}, r.pos) : null],
    ['Conflated', rule.slow === 'conflate' ? 'yes' : 'no'],
    ['Slow members', SLOW[rule.slow] ?? rule.slow],
    ['Presence', rule.presence ? 'members are told who is there' : 'members are not told who is there'],
    ['Durability', rule.durability],
  ]);
}

function list(page, name, path) {
  return pages(page, 'members', async (after) => {
    const got = await page.app.api.get(`${path}/members`, { after, limit: 100 }, page);
    return { rows: got.members, next: got.next };
  }, (all) => (all.length === 0 ? el('p', { class: 'hint' }, 'Nobody is in it.')
    : el('ul', { class: 'lookup-members', 'aria-label': `Members of ${name}` }, ...all.map((id) => el('li', {}, link('user', id))))));
}

function history(page, name, path) {
  return pages(page, 'history', async (since) => {
    const got = await page.app.api.get(`${path}/history`, { since, limit: 20 }, page);
    return { rows: got.publications, next: got.more ? got.pos : '' };
  }, (all) => table(`History of ${name}`, ['Number', 'Event', 'Published', 'Data'],
    all.map((p) => [p.offset, p.event, moment(p.timestamp), data(p)]), 'Nothing is kept now.'));
}

function data(p) {
  const pre = el('pre', { tabindex: '0', role: 'region', 'aria-label': `Data of number ${p.offset}` }); // a long one scrolls
  const text = JSON.stringify(p.data);
  show(pre, text, text.length > ONE_LINE);
  return pre;
}
