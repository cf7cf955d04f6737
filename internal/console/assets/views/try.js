// The view Try: connect as a user, join rooms, publish, and see every frame of
// both directions. Its connection lives on while another view is looked at.

import { snippet } from '../try/code.js';
import { Client } from '../try/client.js';
import { FrameLog, MAX_FRAMES } from '../try/frames.js';
import { drawRooms } from '../try/rooms.js';
import { fault } from '../json.js';
import { ofError, ofProblem, ofState } from '../try/words.js';
import * as plain from '../try/plain.js';
import * as socketio from '../try/socketio.js';

const LOBBY = 'lobby';
const DRAW_MS = 100; // the list of rooms follows a busy room this slowly
const SAY_MS = 1500; // and so does what a screen reader is told
const PROTOCOLS = { plain, socketio };

let page = null; // made when the view is first opened

export const view = {
  id: 'try',
  title: 'Try',
  needsKey: false,
  open(root, app) {
    page ??= new Page(app);
    page.enter(root);
    return () => page.leave();
  },
};

class Page {
  #app;
  #element = document.getElementById('try').content.firstElementChild;
  #base;
  #client;
  #log;
  #here = false; // the view is open
  #entering = false; // the button that was pressed goes away: the focus must go on
  #arrived = 0; // messages that a screen reader was not told of
  #drawTimer = 0;
  #sayTimer = 0;

  constructor(app) {
    this.#app = app;
    const { tls, publicPort, path, development } = app.config;
    this.#base = `${tls ? 'wss' : 'ws'}://${location.hostname}:${publicPort}`;
    this.#client = new Client({ base: this.#base, path, secret: !development });
    this.#log = new FrameLog(this.#$('frames'), this.#$('frames-view'), () => this.#drawLog());
    if (!development) this.#askForToken();
    this.#connection();
    this.#rooms();
    this.#publishing();
    this.#code();
    this.#frames();
    this.#drawState();
    this.#drawLog();
    this.#drawCode();
    this.#$('connect-lobby').disabled = this.#$('connect').disabled = false;
  }

  enter(root) {
    root.append(this.#element);
    this.#here = true;
    this.#log.toEnd();
    if (this.#client.state === 'idle') this.#$('user').focus({ preventScroll: true });
  }

  leave() { this.#here = false; }

  #$(id) { return this.#element.querySelector(`#${id}`); }

  #chosen(name) { return this.#element.querySelector(`[name="${name}"]:checked`).value; }

  // Who is told what concerns this view alone.
  #notice(kind, text) {
    if (this.#here) this.#app.notice(kind, text);
  }

  #calm() {
    if (this.#here) this.#app.hideNotice();
  }

  // Outside development the credential is a secret.
  #askForToken() {
    this.#$('user-label').textContent = 'Token';
    this.#$('user-hint').textContent = 'As the auth service gives it to clients. Empty: a guest, where the policy allows.';
    this.#$('user').type = 'password';
    this.#$('user').placeholder = '';
  }

  // --- connection ---

  #connection() {
    this.#$('connection').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#calm();
      this.#entering = true;
      const rooms = event.submitter === this.#$('connect') ? [] : [LOBBY];
      this.#client.connect(PROTOCOLS[this.#chosen('protocol')], this.#$('user').value.trim(), rooms);
    });
    this.#$('disconnect').addEventListener('click', () => {
      this.#client.close();
      this.#$('user').focus();
    });
    this.#client.addEventListener('state', ({ detail }) => this.#changed(detail));
    this.#client.addEventListener('problem', ({ detail }) => {
      const { kind, text } = ofProblem(detail, this.#base);
      this.#notice(kind, text);
    });
  }

  #changed({ state, delay }) {
    this.#drawState();
    if (state === 'online') {
      this.#calm();
      if (this.#entering) this.#$('data').focus({ preventScroll: true });
      this.#entering = false;
    }
    if (state === 'waiting') this.#countDown(Date.now() + delay);
  }

  #drawState() {
    const { state, identity } = this.#client;
    document.body.dataset.state = state;
    this.#$('state').textContent = ofState(state, identity);
    const idle = state === 'idle';
    this.#$('connection').hidden = !idle;
    this.#$('identity').hidden = idle;
    const facts = {
      user: identity?.userId,
      connection: identity?.connectionId,
      instance: identity && `${identity.instance} ${identity.serverVersion}`,
    };
    for (const [name, text] of Object.entries(facts)) this.#$(`fact-${name}`).textContent = text ?? '—';
    this.#$('endpoint').textContent = `${PROTOCOLS[this.#chosen('protocol')].name} at ${this.#base}`;
    for (const id of ['join', 'publish']) this.#$(id).disabled = state !== 'online';
    this.#$('room-fields').toggleAttribute('inert', idle);
  }

  // The seconds stand outside what a screen reader is told.
  #countDown(until) {
    const left = this.#client.state === 'waiting' ? Math.ceil((until - Date.now()) / 1000) : 0;
    this.#$('countdown').textContent = left > 0 ? `in ${left} s` : '';
    if (left > 0) setTimeout(() => this.#countDown(until), 250);
  }

  // --- rooms ---

  #rooms() {
    this.#$('joining').addEventListener('submit', async (event) => {
      event.preventDefault();
      const room = this.#$('room').value.trim();
      if (!room || !await this.#attempt(() => this.#client.join(room))) return;
      this.#$('room').value = '';
      this.#pick(room);
    });
    this.#client.addEventListener('rooms', () => {
      this.#drawTimer ||= setTimeout(() => {
        this.#drawTimer = 0;
        this.#drawRooms();
      }, DRAW_MS);
    });
    this.#$('target').addEventListener('input', () => this.#drawRooms());
  }

  #drawRooms() {
    const rooms = this.#client.rooms;
    this.#$('no-rooms').hidden = rooms.length > 0;
    drawRooms(this.#$('rooms'), rooms, {
      selected: this.#$('target').value.trim(),
      pick: (room) => this.#pick(room),
      leave: (room) => this.#leaveRoom(room),
    });
  }

  #pick(room) {
    this.#$('target').value = room;
    this.#drawRooms();
    this.#drawCode();
  }

  #leaveRoom(room) {
    this.#$('room').focus();
    return this.#attempt(() => this.#client.leave(room));
  }

  // --- publish ---

  #publishing() {
    const data = this.#$('data');
    this.#$('publishing').addEventListener('submit', async (event) => {
      event.preventDefault();
      const wrong = fault(data.value);
      this.#invalid(wrong);
      if (wrong || this.#client.state !== 'online') return;
      const { room, event: name, data: json } = this.#form();
      await this.#attempt(() => this.#client.publish(room, name, json));
    });
    data.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) this.#$('publishing').requestSubmit();
    });
    data.addEventListener('input', () => {
      if (data.getAttribute('aria-invalid') === 'true') this.#invalid(fault(data.value));
    });
  }

  #invalid(text) {
    this.#$('data').setAttribute('aria-invalid', String(text !== ''));
    this.#$('data-error').textContent = text;
    this.#$('data-error').hidden = text === '';
  }

  #form() {
    const value = (id) => this.#$(id).value.trim();
    return { user: value('user'), room: value('target'), event: value('event'), data: value('data') };
  }

  // Does a request; what the gateway has against it is said. True when done.
  async #attempt(request) {
    try {
      await request();
      this.#calm();
      return true;
    } catch (err) {
      this.#notice('error', ofError(err));
      return false;
    }
  }

  // --- code ---

  #code() {
    this.#element.addEventListener('input', () => this.#drawCode());
    this.#$('copy').addEventListener('click', () => this.#copy());
  }

  #drawCode() {
    const { path, development } = this.#app.config;
    const form = this.#form();
    const wrong = fault(form.data);
    this.#$('copy').disabled = wrong !== '';
    this.#$('code').textContent = wrong || snippet(this.#chosen('language'), {
      ...form, base: this.#base, path, api: location.origin, token: !development, socketio: this.#chosen('protocol') === 'socketio',
    });
  }

  // Browsers lend the clipboard to pages of localhost and HTTPS alone: elsewhere
  // the code is selected, for the reader's own keys.
  async #copy() {
    const code = this.#$('code');
    try {
      await navigator.clipboard.writeText(code.textContent);
      this.#app.announce('Copied.');
      this.#$('copy').textContent = 'Copied';
      setTimeout(() => { this.#$('copy').textContent = 'Copy'; }, SAY_MS);
    } catch {
      getSelection().selectAllChildren(code);
      code.focus();
      this.#notice('info', 'The code is selected: copy it with Ctrl C or ⌘ C.');
    }
  }

  // --- frames ---

  #frames() {
    this.#client.addEventListener('frame', ({ detail }) => {
      this.#log.add(detail);
      if (detail.shown?.kind === 'message') this.#tell();
    });
    this.#$('pause').addEventListener('click', () => this.#log.pause(!this.#log.paused));
    this.#$('clear').addEventListener('click', () => this.#log.clear());
    this.#$('latest').addEventListener('click', () => this.#log.toEnd());
    this.#$('beats').addEventListener('change', () => { this.#$('frames').dataset.beats = String(this.#$('beats').checked); });
  }

  #drawLog() {
    const { shown, held, paused, unseen } = this.#log;
    this.#$('pause').textContent = paused ? 'Resume' : 'Pause';
    this.#$('pause').dataset.paused = String(paused);
    this.#$('frames-count').textContent = count(shown, paused ? held : 0);
    this.#$('no-frames').hidden = shown > 0;
    this.#$('latest').hidden = unseen === 0;
    this.#$('latest').textContent = `↓ ${unseen} new`;
  }

  // A screen reader hears that messages arrive, not each of them.
  #tell() {
    this.#arrived++;
    this.#sayTimer ||= setTimeout(() => {
      if (this.#here) this.#app.announce(this.#arrived === 1 ? 'One message arrived.' : `${this.#arrived} messages arrived.`);
      this.#arrived = this.#sayTimer = 0;
    }, SAY_MS);
  }
}

function count(shown, held) {
  const frames = shown === 1 ? '1 frame' : `${shown} frames`;
  if (held) return `${frames}, ${held} held back`;
  return shown < MAX_FRAMES ? frames : `the last ${frames}`;
}
