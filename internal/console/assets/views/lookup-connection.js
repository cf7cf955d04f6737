// A connection: whose it is, where, how it is doing, and its rooms.

import { el } from '../dom.js';
import { act, bytes, button, card, carried, count, facts, link, moment, pages, step, table } from './lookup-parts.js';

export async function connection(page, id) {
  const { api } = page.app;
  const path = `/connections/${step(id)}`;
  const [c, rooms] = await Promise.all([
    api.get(path, {}, page),
    pages(page, 'seats', async (after) => {
      const got = await api.get(`${path}/rooms`, { after, limit: 50 }, page);
      return { rows: got.rooms, next: got.next };
    }, (all) => table(`Rooms of ${id}`, ['Room', 'Queued up to', 'Position'],
      all.map((r) => [link('room', r.room), r.offset ?? 'no position yet', r.pos ?? '']), 'In no room.')),
  ]);
  return [
    card('connection', `Connection ${id}`, [
      button('refresh', 'Refresh', () => page.draw()),
      button('disconnect', 'Disconnect', () => act(page, () => disconnect(page, c)), 'danger'),
    ], facts([
      ['User', c.user ? link('user', c.user) : 'not authenticated yet'],
      ['Guest', c.guest ? 'yes: nobody vouched for the user' : 'no'],
      ['Instance', c.instance],
      ['Protocol', carried(c)],
      ['Connected', moment(c.connectedAt)],
      ['Last seen', c.lastSeenAt ? moment(c.lastSeenAt) : c.transport === 'polling' ? 'it polls' : 'not known'],
      ['Queue', `${bytes(c.queueBytes)} wait for the client`],
      ['Credential expires', c.expiresAt ? moment(c.expiresAt) : 'never'],
      ['Address', c.address],
    ])),
    card('seats', count(c.rooms, 'room'), [], rooms),
  ];
}

async function disconnect(page, c) {
  const detail = `The connection${c.user ? ` of ${c.user}` : ''} on ${c.instance} is closed with code 4003, after what is queued for it. `
    + 'Its client does not reconnect by itself, but may connect again.';
  if (!await page.app.confirm('Disconnect this connection?', { danger: true, detail, action: 'Disconnect' })) return;
  await page.app.api.post('/disconnect', { connection: c.connection });
  if (page.signal.aborted) return;
  page.app.notice('info', `${c.connection} disconnected.`);
  page.root.replaceChildren(card('ended', 'The connection has ended', [], c.user
    ? el('p', { class: 'lookup-why' }, 'See the other connections of ', link('user', c.user), '.')
    : el('p', { class: 'lookup-why' }, 'It had no user yet.')));
  page.root.querySelector('a')?.focus();
}
