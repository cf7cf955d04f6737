// A user: the connections on all instances.

import { act, bytes, button, card, carried, count, drawTwice, link, missing, moment, pages, step, table } from './lookup-parts.js';

export async function user(page, id) {
  const { api } = page.app;
  let total = 0;
  let absent;
  const list = await pages(page, 'connections', async (after) => {
    const got = await api.get(`/users/${step(id)}/connections`, { after, limit: 50 }, page);
    total = got.count;
    absent = got.missing;
    return { rows: got.connections, next: got.next };
  }, (all) => table(`Connections of ${id}`, ['Connection', 'Instance', 'Protocol', 'Connected', 'Last seen', 'Queue', 'Rooms', 'Address'],
    all.map((c) => [
      link('connection', c.connection), c.instance, carried(c), moment(c.connectedAt), moment(c.lastSeenAt), bytes(c.queueBytes), c.rooms, c.address,
    ]), 'Not connected.'));
  return [card('user', `User ${id}`, [
    button('refresh', 'Refresh', () => page.draw()),
    total > 0 && button('disconnect', total === 1 ? 'Disconnect' : `Disconnect all ${total}`, () => act(page, () => disconnect(page, id, total)), 'danger'),
  ], missing(absent), list)];
}

async function disconnect(page, id, total) {
  const detail = `${count(total, 'connection')} on all instances ${total === 1 ? 'is' : 'are'} closed with code 4003. `
    + 'Clients do not reconnect by themselves after it, but nothing keeps the user from connecting again: to prevent that, revoke the user as well (POST /api/v1/revoke).';
  if (!await page.app.confirm(`Disconnect ${id}?`, { danger: true, detail, action: 'Disconnect' })) return;
  const got = await page.app.api.post('/disconnect', { user: id });
  page.app.notice(got.missing ? 'warn' : 'info', `${count(got.connections, 'connection')} of ${id} disconnected`
    + (got.missing ? `; no answer from ${got.missing.join(', ')}, so what is there may still be connected.` : '.'));
  await drawTwice(page);
}
