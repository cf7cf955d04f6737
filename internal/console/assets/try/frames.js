// The log of frames: newest last, bounded, batched so that a busy room does
// not keep the page from answering.

import { show } from '../json.js';

export const MAX_FRAMES = 500;
const BATCH_MS = 50;
const PREVIEW = 240; // characters

export class FrameLog {
  #list;
  #view;
  #pending = []; // frames not shown yet, oldest first, at most MAX_FRAMES
  #paused = false;
  #timer = 0;
  #unseen = 0; // shown below what the reader looks at
  #changed;

  // list is the <ol>, view the element that scrolls, changed is called when
  // the numbers or the pause change.
  constructor(list, view, changed) {
    this.#list = list;
    this.#view = view;
    this.#changed = changed;
    view.addEventListener('scroll', () => {
      if (this.#unseen && this.#atEnd()) {
        this.#unseen = 0;
        changed();
      }
    }, { passive: true });
  }

  get shown() { return this.#list.childElementCount; }
  get held() { return this.#pending.length; }
  get paused() { return this.#paused; }
  get unseen() { return this.#unseen; }

  add(frame) {
    this.#pending.push({ ...frame, time: new Date() });
    if (this.#pending.length > MAX_FRAMES) this.#pending.shift();
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (!this.#paused) this.#flush();
      this.#changed();
    }, BATCH_MS);
  }

  pause(paused) {
    this.#paused = paused;
    if (!paused) this.#flush();
    this.#changed();
  }

  clear() {
    this.#pending = [];
    this.#list.replaceChildren();
    this.#unseen = 0;
    this.#changed();
  }

  toEnd() {
    this.#view.scrollTop = this.#view.scrollHeight;
    this.#unseen = 0;
    this.#changed();
  }

  #atEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.#view;
    return scrollHeight - scrollTop - clientHeight < 24;
  }

  #flush() {
    if (this.#pending.length === 0) return;
    const follow = this.#atEnd();
    this.#list.append(...this.#pending.map(row));
    if (!follow) this.#unseen += this.#pending.length;
    this.#pending = [];
    while (this.#list.childElementCount > MAX_FRAMES) this.#list.firstElementChild.remove();
    if (follow) this.#view.scrollTop = this.#view.scrollHeight;
  }
}

function row({ out, text, shown, at, took, time }) {
  const item = document.createElement('li');
  item.className = 'frame';
  item.dataset.testid = 'frame';
  item.dataset.direction = out ? 'out' : 'in';
  item.dataset.event = shown?.event ?? '';
  item.dataset.kind = shown?.kind ?? 'error';
  const details = document.createElement('details');
  const summary = document.createElement('summary');
  const since = cell('time', `+${(at / 1000).toFixed(3)}`);
  since.title = `${seconds(at)} after the connection was begun, at ${clock(time)}`;
  summary.append(
    since,
    arrow(out),
    cell('event', shown?.event ?? 'not JSON'),
    cell('room', shown?.room ?? ''),
    cell('took', took === undefined ? '' : milliseconds(took)),
    cell('preview', preview(text, shown)),
  );
  details.append(summary);
  details.addEventListener('toggle', () => expand(details, text, shown, [
    `${out ? 'Sent' : 'Received'} at ${clock(time)}, ${seconds(at)} after the connection was begun`,
    took === undefined ? '' : `, ${milliseconds(took)} after its request`,
  ].join('')), { once: true });
  item.append(details);
  return item;
}

// The body is made when it is first looked at: most frames never are.
function expand(details, text, shown, timing) {
  const pre = document.createElement('pre');
  pre.tabIndex = 0; // scrolls sideways by keyboard
  pre.dataset.testid = 'frame-json';
  show(pre, text, shown !== null);
  const when = document.createElement('p');
  when.className = 'frame-timing';
  when.textContent = timing;
  details.append(when, pre);
}

function cell(name, text) {
  const span = document.createElement('span');
  span.className = `frame-${name}`;
  span.textContent = text;
  return span;
}

function arrow(out) {
  const span = cell('direction', out ? '↑' : '↓');
  span.setAttribute('role', 'img');
  span.setAttribute('aria-label', out ? 'sent' : 'received');
  return span;
}

// The data as it was sent. Inside a JSON string the quotes of the mark would be
// escaped, and nothing before it is nested: its first place is the right one.
// An event of Socket.IO has its name and a comma before the data, a refusal
// stands alone.
function preview(text, shown) {
  const mark = ',"data":';
  const at = text.indexOf(mark);
  let data = text;
  if (/^42\d*\["/.test(text)) data = text.slice(text.indexOf('",') + 2, -1);
  else if (/^43\d*\[\{"ok":false/.test(text)) data = text.slice(text.indexOf('{'), -1);
  else if (shown && at >= 0) data = text.slice(at + mark.length, text.lastIndexOf('}'));
  return data.length > PREVIEW ? `${data.slice(0, PREVIEW)}…` : data;
}

const seconds = (ms) => `${(ms / 1000).toFixed(3)} s`;
const milliseconds = (ms) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
const two = (n) => String(n).padStart(2, '0');

function clock(t) {
  const ms = String(t.getMilliseconds()).padStart(3, '0');
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}.${ms}`;
}
