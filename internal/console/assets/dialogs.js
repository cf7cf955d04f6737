// The questions of the page, as modal dialogs: the browser keeps the focus in
// them, Escape dismisses them, and the focus goes back to where it was.

import { el } from './dom.js';

// Asks for yes or no. detail says more, action is what the button says, danger
// colours it and begins on Cancel.
export function confirm(question, { danger = false, detail = '', action = 'Continue' } = {}) {
  return new Promise((resolve) => {
    const yes = el('button', { type: 'submit', class: danger ? 'danger' : 'primary', 'data-testid': 'confirm', autofocus: !danger }, action);
    const no = el('button', { type: 'button', 'data-testid': 'cancel', autofocus: danger, onclick: () => box.close() }, 'Cancel');
    const box = dialog('question', question, [
      detail !== '' && el('p', { class: 'detail' }, detail),
      el('div', { class: 'actions' }, yes, no),
    ], () => { resolve(true); box.close(); });
    box.addEventListener('close', () => resolve(false)); // does nothing after yes
  });
}

// Asks for the API's key until check(key) resolves to ''. Resolves to that key, to
// '' when the question is dismissed, also while a key is being checked.
export function askKey(check, wrong) {
  return new Promise((resolve) => {
    const input = el('input', {
      id: 'key', type: 'password', required: true, autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false',
      autofocus: true, 'aria-describedby': 'key-wrong key-hint',
    });
    const fault = el('p', { class: 'wrong', id: 'key-wrong', role: 'alert' }, wrong);
    const use = el('button', { type: 'submit', class: 'primary', 'data-testid': 'use-key' }, 'Use key');
    const box = dialog('key', 'API key', [
      el('div', { class: 'field' },
        el('label', { for: 'key' }, 'Key'), input, fault,
        el('p', { class: 'hint', id: 'key-hint' },
          'One of ADMIN_API_KEYS; without that setting, the key in the log of the gateway’s start. It stays in the memory of this tab.')),
      el('div', { class: 'actions' }, use,
        el('button', { type: 'button', 'data-testid': 'cancel', onclick: () => box.close() }, 'Cancel')),
    ], async () => {
      use.disabled = true;
      const key = input.value.trim();
      const text = await check(key);
      use.disabled = false;
      if (!box.open) return;
      if (text === '') {
        resolve(key);
        box.close();
        return;
      }
      fault.textContent = text;
      input.setAttribute('aria-invalid', 'true');
      input.select();
    });
    box.addEventListener('close', () => {
      input.value = '';
      resolve('');
    });
  });
}

function dialog(id, title, content, submit) {
  const form = el('form', { class: 'stack', onsubmit: (event) => { event.preventDefault(); submit(); } },
    el('h2', { id: `${id}-title` }, title), ...content);
  const box = el('dialog', { id: `${id}-dialog`, 'aria-labelledby': `${id}-title` }, form);
  box.addEventListener('close', () => box.remove());
  document.body.append(box);
  box.showModal();
  return box;
}
