// Look up: who is connected, where, and in which rooms; and how to end it.
// The address says what is looked at: #/lookup, #/lookup/user/ID,
// #/lookup/connection/ID, #/lookup/room/NAME, names encoded.

import { el } from '../dom.js';
import { connection } from './lookup-connection.js';
import { overview } from './lookup-overview.js';
import { address } from './lookup-parts.js';
import { room } from './lookup-room.js';
import { user } from './lookup-user.js';

const KINDS = [
  { id: 'user', label: 'User id', show: user },
  { id: 'connection', label: 'Connection id', show: connection },
  { id: 'room', label: 'Room', show: room },
];

export const view = {
  id: 'lookup',
  title: 'Look up',
  needsKey: true,

  open(root, app, path) {
    const ended = new AbortController();
    const [id, name = ''] = path;
    const kind = KINDS.find((k) => k.id === id && name !== '');
    const result = el('div', { class: 'lookup-result', 'data-testid': 'result' });
    root.append(search(app, kind ?? KINDS[0], kind ? name : ''), result);

    // What a page gets: its place, and calls that end with it. draw shows it
    // again as it is now, and returns a promise.
    const page = { app, root: result, signal: ended.signal, draw };
    async function draw() {
      const show = kind?.show ?? overview;
      try {
        const content = await show(page, name);
        if (ended.signal.aborted) return;
        keepFocus(result, content);
        app.announce('Shown as it is now.');
      } catch (err) {
        if (!ended.signal.aborted) refused(result, err, kind, name);
      }
    }
    result.append(el('p', { class: 'hint', role: 'status' }, 'Looking…'));
    draw();
    return () => ended.abort();
  },
};

// Shows new content, with the focus on what had it before.
function keepFocus(result, content) {
  const at = result.contains(document.activeElement) ? document.activeElement.id : '';
  result.replaceChildren(...content);
  if (at) document.getElementById(at)?.focus();
}

function refused(result, err, kind, name) {
  const absent = err.code === 'not_found' && kind;
  result.replaceChildren(el('section', { class: 'card', 'data-testid': 'refused', role: 'alert' },
    el('h2', {}, absent ? 'Nothing found' : 'That did not work'),
    el('p', { class: 'lookup-why' }, absent ? `There is no ${kind.id} ${name} on any instance. It may have ended.` : err.message)));
}

// The form that goes to another address.
function search(app, kind, name) {
  const label = el('label', { for: 'lookup-name' }, kind.label);
  const input = el('input', {
    id: 'lookup-name', type: 'text', required: true, maxlength: '256', value: name,
    autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false',
  });
  const choice = el('fieldset', { class: 'lookup-kinds' }, el('legend', { class: 'unseen' }, 'What to look up'),
    ...KINDS.map((k) => el('label', {},
      el('input', { type: 'radio', name: 'lookup-kind', value: k.id, checked: k === kind, onchange: () => { label.textContent = k.label; } }),
      el('span', {}, k.label.replace(/ id$/, '')))));
  return el('form', {
    class: 'card lookup-search', role: 'search', 'aria-label': 'Look up',
    onsubmit: (event) => {
      event.preventDefault();
      app.go(address(choice.querySelector(':checked').value, input.value.trim()));
    },
  },
  choice,
  el('div', { class: 'field' }, label, input),
  el('div', { class: 'actions' },
    el('button', { type: 'submit', class: 'primary', 'data-testid': 'look' }, 'Look up'),
    el('a', { class: 'lookup-home', href: '#/lookup' }, 'Instances and rooms')));
}
