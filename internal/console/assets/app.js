// The shell: which view is open, the key, and what every view needs.
//
// A view is a module views/NAME.js that exports
//
//   view = { id, title, needsKey, open(root, app, path) }
//
// open draws into root, which is its own, and returns a function that ends what
// it has begun. path is the rest of the hash, "#/lookup/user/a%2Fb" being
// ['user', 'a/b']; when it changes, the view is closed and opened again.
// What views get as app is the object below.

import { Api } from './api.js';
import { askKey, confirm } from './dialogs.js';
import { el } from './dom.js';
import { view as live } from './views/live.js';
import { view as lookup } from './views/lookup.js';
import { view as settings } from './views/settings.js';
import { view as trying } from './views/try.js';

const VIEWS = [trying, live, lookup, settings];
const $ = (id) => document.getElementById(id);

const api = new Api(async (check, wrong) => {
  const given = await askKey(check, wrong);
  if (!given && open?.view.needsKey) gate(close());
  return given;
}, drawKey);
const app = {
  api, // calls of /api/v1: see api.js
  config: await loadConfig(), // of /console.json
  notice, // notice(kind, text): kind is error, warn or info
  hideNotice,
  announce, // announce(text) to screen readers
  confirm, // confirm(question, { danger, detail, action }) resolves to true or false
  go: (hash) => { location.hash = hash; },
};

let open = null; // {view, root, close?}
let turn = 0; // the view that was asked for last

for (const view of VIEWS) {
  $('nav').append(el('a', { href: `#/${view.id}`, 'data-view': view.id }, el('span', { class: 'dot', 'aria-hidden': 'true' }), view.title));
}
$('version').textContent = app.config.version;
$('notice-close').addEventListener('click', hideNotice);
$('forget').addEventListener('click', () => {
  api.forget();
  announce('The key is forgotten.');
  show(true);
});
$('skip').addEventListener('click', (event) => { // the address is a view's, not an anchor
  event.preventDefault();
  $('view').focus();
});
addEventListener('hashchange', () => show(true));
drawKey();
show(false);

async function loadConfig() {
  try {
    const response = await fetch('/console.json');
    if (!response.ok) throw new Error(`the gateway answered ${response.status}`);
    return await response.json();
  } catch (err) {
    notice('error', `Could not read the gateway's settings: ${err.message}. Reload the page to try again.`);
    throw err;
  }
}

// Opens the view of the address. moved says that the reader went there: the
// focus goes along.
async function show(moved) {
  const mine = ++turn;
  const [id, ...path] = parts(location.hash);
  const view = VIEWS.find((v) => v.id === id) ?? VIEWS[0];
  close();
  // Questions of the view before; that for the key is the next one's, too.
  for (const box of document.querySelectorAll(view.needsKey ? 'dialog:not(#key-dialog)' : 'dialog')) box.close();
  hideNotice();
  mark(view);
  if (view.needsKey && !api.hasKey) gate(view);
  if (view.needsKey && !await api.unlock() || mine !== turn) return;
  close();
  const root = $('view').appendChild(el('div', { class: `view-root ${view.id}`, 'data-view': view.id }));
  open = { view, root };
  try {
    open.close = view.open(root, app, path);
  } catch (err) {
    notice('error', `${view.title} could not be opened: ${err.message}`);
    throw err; // for the browser's own console
  }
  if (moved) $('view').focus({ preventScroll: true });
  scrollTo(0, 0);
}

// Closes the open view, and returns it.
function close() {
  const view = open?.view;
  open?.close?.();
  open = null;
  $('view').replaceChildren();
  return view;
}

// What stands in place of a view while there is no key.
function gate(view) {
  $('view').replaceChildren(el('section', { class: 'card gate', 'data-testid': 'gate' },
    el('h2', {}, `${view.title} needs an API key`),
    el('p', {}, 'What it shows comes from the server API, which answers to a key alone.'),
    el('div', { class: 'actions' }, el('button', { type: 'button', class: 'primary', id: 'unlock', onclick: () => show(true) }, 'Enter key'))));
}

function mark(view) {
  document.title = `${view.title} · Gateway console`;
  for (const link of $('nav').children) {
    if (link.dataset.view === view.id) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

function parts(hash) {
  return hash.replace(/^#\/?/, '').split('/').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part; // a lone %
    }
  });
}

function drawKey() {
  $('forget').hidden = !api.hasKey;
}

function notice(kind, text) {
  $('notice').dataset.kind = kind;
  $('notice-text').textContent = text;
  $('notice').hidden = false;
}

function hideNotice() {
  $('notice').hidden = true;
  $('notice-text').textContent = '';
}

function announce(text) {
  $('announcer').textContent = text;
}
