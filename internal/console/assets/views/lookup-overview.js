// The page without a name: instances, which can be drained, and rooms.

import { el } from '../dom.js';
import { act, button, card, count, drawTwice, link, missing, moment, pages, table } from './lookup-parts.js';

export async function overview(page) {
  const { api } = page.app;
  const [{ instances }, counts] = await Promise.all([
    api.get('/instances', {}, page), api.get('/counts', {}, page),
  ]);
  return [
    card('instances', 'Instances', [button('refresh', 'Refresh', () => page.draw())],
      el('p', { class: 'hint', 'data-testid': 'counts' },
        `${count(counts.connections, 'connection')} of ${count(counts.users, 'user')}, ${count(counts.memberships, 'membership')} in ${count(counts.rooms, 'room')}; who or what is on several instances counts on each.`),
      missing(counts.missing),
      table('Instances', ['Instance', 'State', 'Connections', 'Version', 'Zone', 'Started', 'Action'],
        instances.map((i) => [
          i.instance, el('span', { class: 'lookup-state', 'data-state': i.state }, i.state), i.capacity ? `${i.connections} of ${i.capacity}` : i.connections,
          i.version, i.zone ?? '', moment(i.startedAt),
          i.state === 'draining' ? 'drains' : drainer(page, i, instances),
        ]), 'No instance is known.')),
    await rooms(page),
  ];
}

function drainer(page, instance, all) {
  const name = instance.instance;
  const others = all.filter((i) => i.instance !== name && i.ready).length;
  const b = button(`drain-${name}`, 'Drain', () => act(page, async () => {
    const told = `It takes no connections from now on and is not ready. Its ${count(instance.connections, 'client')} `
      + 'are told to reconnect, spread over DRAIN_WINDOW, and resume on the other instances where their rooms keep history. '
      + 'The process stays until it is stopped; a drain cannot be taken back. '
      + (others === 0 ? 'No other instance is ready: the clients will have nowhere to go.' : `${count(others, 'other instance')} ${others === 1 ? 'is' : 'are'} ready.`);
    if (!await page.app.confirm(`Drain ${name}?`, { danger: true, detail: told, action: 'Drain' })) return;
    await page.app.api.post('/drain', { instance: name });
    page.app.notice('info', `${name} drains.`);
    await drawTwice(page);
  }), 'danger');
  b.setAttribute('aria-label', `Drain ${name}`);
  return b;
}

// Rooms whose names begin with something.
async function rooms(page) {
  const place = el('div', {});
  const input = el('input', {
    id: 'lookup-prefix', type: 'text', maxlength: '128', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', placeholder: 'any',
  });
  const list = () => pages(page, 'rooms', async (after) => {
    const got = await page.app.api.get('/rooms', { prefix: input.value.trim(), after, limit: 50 }, page);
    return { rows: got.rooms, next: got.next };
  }, (all) => table('Rooms with members', ['Room', 'Connections'], all.map((r) => [link('room', r.room), r.connections]), 'No room with members.'));
  place.append(await list());
  return card('rooms', 'Rooms with members', [],
    el('form', {
      class: 'lookup-prefix',
      onsubmit: (event) => {
        event.preventDefault();
        act(page, async () => place.replaceChildren(await list()));
      },
    },
    el('label', { for: 'lookup-prefix' }, 'Name begins with'), input,
    el('button', { type: 'submit', 'data-testid': 'list' }, 'List')),
    place);
}
