// Configuration: health, what was reloaded, the settings in effect and the
// policy in force, of the instance that serves this page. Nothing is changed
// here: settings come from the environment.

import { el } from '../dom.js';
import { act, at, button, card, table } from './lookup-parts.js';

const EVERY_MS = 5000; // how often health and reloads are looked at

export const view = {
  id: 'settings',
  title: 'Configuration',
  needsKey: true,

  open(root, app) {
    const ended = new AbortController();
    const page = { app, signal: ended.signal };
    const places = { health: el('div', {}), notes: el('div', {}), reloads: el('div', {}), policy: el('div', {}), settings: el('div', {}) };
    const heading = el('p', { class: 'hint', role: 'status', 'data-testid': 'of' }, 'Looking…');
    root.append(heading, ...Object.values(places));
    const drawn = {}; // what a place shows, as text: it is made anew only when that changes

    async function look(first) {
      let got;
      try {
        got = await app.api.get('/settings', {}, page);
      } catch (err) {
        if (ended.signal.aborted) return;
        heading.textContent = `This is not up to date: ${err.message}`;
        if (first) app.notice('error', err.message);
        return;
      }
      if (ended.signal.aborted) return;
      heading.textContent = `Of instance ${got.instance}, version ${got.version}, which serves this page.`;
      // How long a check took is no reason to read the whole list out again.
      const outcome = got.health.checks?.map((c) => [c.name, c.healthy, c.message]);
      if (!first && JSON.stringify([got.health.status, outcome]) !== drawn.outcome) app.announce(`Health: ${got.health.status}`);
      drawn.outcome = JSON.stringify([got.health.status, outcome]);
      draw('health', got.health, health);
      draw('notes', got.notes ?? [], notes);
      draw('reloads', got.reloads, reloads);
      draw('policy', got.policy, (p) => policy(page, p));
      draw('settings', got.settings, settings);
    }

    function draw(name, value, make) {
      const text = JSON.stringify(value);
      if (drawn[name] === text) return;
      drawn[name] = text;
      const held = places[name].contains(document.activeElement);
      places[name].replaceChildren(make(value) || '');
      if (held) places[name].querySelector('[tabindex="0"]')?.focus();
    }

    const timer = setInterval(() => { if (!document.hidden && app.api.hasKey) look(false); }, EVERY_MS);
    look(true);
    return () => {
      clearInterval(timer);
      ended.abort();
    };
  },
};

const badge = (good, critical, text) => el('span', { class: 'badge', 'data-state': good ? 'good' : critical ? 'bad' : 'warn' }, text);

function health({ status, checks = [] }) {
  return card('health', 'Health', [badge(status === 'ok', status === 'unavailable', status)],
    table('Health checks', ['Check', 'State', 'Says', 'Counts as', 'Took'], checks.map((c) => [
      c.name, badge(c.healthy, c.critical, c.healthy ? 'healthy' : 'failing'), c.message,
      c.critical ? 'critical' : 'degrading', `${c.latencyMs.toFixed(1)} ms`,
    ]), 'There are no checks.'),
    el('p', { class: 'hint' }, 'While a critical check fails the instance is not ready and gets no new clients; a degrading one leaves it ready.'));
}

function notes(all) {
  return all.length > 0 && card('notes', 'Worth knowing', [], el('ul', { class: 'notes' }, ...all.map((note) => el('li', {}, note))));
}

function reloads(all) {
  return card('reloads', 'Read again when files change', [], table('Reloads', ['What', 'State', 'Reloads', 'Failed'], all.map((r) => [
    r.name, r.failing ? badge(false, true, 'failing: what was in force stays') : badge(true, false, 'in step'), r.loaded, r.failed,
  ]), 'No setting names a file: nothing can change while the gateway runs.'));
}

function policy(page, p) {
  const text = el('pre', { class: 'yaml', tabindex: '0', role: 'region', 'aria-label': 'Policy in YAML', 'data-testid': 'yaml' }, p.yaml);
  const copy = button('copy-policy', 'Copy', async () => {
    try {
      await navigator.clipboard.writeText(p.yaml);
      page.app.announce('The policy is copied.');
    } catch { // lent to pages of localhost and HTTPS alone
      getSelection().selectAllChildren(text);
      text.focus();
      page.app.notice('info', 'The policy is selected: copy it with Ctrl C or ⌘ C.');
    }
  });
  return card('policy', 'Policy in force', [copy],
    el('p', { class: 'hint' }, p.source || 'not from a file', ', since ', at(p.since)),
    text);
}

function settings(all) {
  const changed = all.filter((s) => s.changed).length;
  const words = el('input', { id: 'settings-filter', type: 'text', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', placeholder: 'any' });
  const only = el('input', { id: 'settings-changed', type: 'checkbox' });
  const place = el('div', {});
  const shown = el('p', { class: 'hint', role: 'status', 'data-testid': 'settings-count' });
  function filter() {
    const text = words.value.trim().toUpperCase();
    const some = all.filter((s) => (!only.checked || s.changed) && (s.name.includes(text) || s.value.toUpperCase().includes(text)));
    shown.textContent = `${some.length} of ${all.length} settings, ${changed} not at their default.`;
    place.replaceChildren(table('Settings', ['Setting', 'Value', 'Default', 'From'], some.map(row), 'No setting is like that.'));
  }
  words.addEventListener('input', filter);
  only.addEventListener('change', filter);
  filter();
  return card('settings', 'Settings in effect', [],
    el('div', { class: 'lookup-prefix' },
      el('label', { for: 'settings-filter' }, 'Name or value contains'), words,
      el('label', { class: 'check' }, only, 'Only what is not the default')),
    shown, place);
}

function row(s) {
  const why = s.mode ? `by ${s.mode}` : s.changed ? 'set' : '';
  return [el('code', {}, s.name), value(s.value), s.secret ? el('span', { class: 'faint' }, 'a secret') : value(s.default), why && el('span', { class: 'badge', 'data-state': 'set' }, why)];
}

function value(text) {
  return text === '' ? el('span', { class: 'faint' }, 'empty') : el('code', {}, text);
}
