// The client behind the view Try: one user, many rooms, reconnects and resumes,
// over a plain WebSocket or Socket.IO. It touches no document. (Applications use
// the gateway's /client.js; this one shows every frame, and lets people do what
// that one would keep them from.)
//
// Events (CustomEvent, with detail):
//   state   {state, delay?}            idle, connecting, online, waiting (delay in ms)
//   frame   {out, text, shown, at, took}
//           every frame; at is in ms since the connection was begun, took, of a
//           reply, in ms since its request
//   rooms   {}                         the list of rooms or something in it changed
//   problem {kind, ...}                error, closed, refused, removed, lost, gap, drain, expiring

import { Book } from './book.js';

const REQUEST_MS = 15_000; // a reply that takes longer is not awaited
const BACKOFF_MS = 500; // first delay; doubles
const BACKOFF_MAX_MS = 30_000;

// What to do after a close, as the gateway's own table has it. Codes that are
// not here: reconnect with back-off.
const NOW = new Set([1000, 1001, 1005, 1006, 1012, 4002, 4008]);
const NEVER = new Set([1002, 1003, 1007, 1008, 1009, 4001, 4003]);

// Failure of a request: code and message as the gateway gave them.
export class RequestError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export class Client extends EventTarget {
  #address; // {base, path, secret}, as of plain.js
  #protocol;
  #token = '';
  #wire = null;
  #state = 'idle';
  #identity = null; // data of "connected"
  #book = new Book();
  #waiting = new Map(); // request id -> {resolve, reject, timer, asked}
  #lastID = 0;
  #attempts = 0;
  #afterMs = 0; // wished by the last "reconnect"
  #begun = 0; // when the connection was
  #retry = 0;

  constructor(address) {
    super();
    this.#address = address;
  }

  get state() { return this.#state; }
  get identity() { return this.#identity; }
  get rooms() { return this.#book.rooms; }

  // Opens a connection for a user, without a token for a guest, and joins
  // rooms once the gateway says "connected". What rooms an earlier user had
  // joined is forgotten.
  connect(protocol, token = '', rooms = []) {
    this.close();
    this.#protocol = protocol;
    this.#token = token;
    this.#book = new Book(rooms);
    this.#attempts = 0;
    this.#changed();
    this.#open();
  }

  // Ends the connection and every attempt to renew it.
  close() {
    clearTimeout(this.#retry);
    this.#wire?.close(1000);
    this.#wire = null;
    this.#book.away();
    this.#fail('the connection was closed');
    this.#become('idle');
    this.#changed();
  }

  // Joins a room now and after every reconnect, from where it was.
  async join(name, since = this.#book.position(name)) {
    const { data } = await this.request('join_room', since ? { room: name, since } : { room: name });
    return data;
  }

  async leave(name) {
    await this.request('leave_room', { room: name });
  }

  // Publishes JSON text as it is: numbers keep every digit.
  publish(room, event, json) {
    const head = JSON.stringify({ room, event }).slice(0, -1);
    return this.#ask('publish', `${head},"data":${json}}`);
  }

  // Sends a request and resolves with the reply's message.
  request(event, data = {}) {
    return this.#ask(event, JSON.stringify(data));
  }

  #ask(event, json) {
    if (this.#state !== 'online') return Promise.reject(new RequestError('offline', 'not connected'));
    const id = ++this.#lastID;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new RequestError('timeout', `no reply to ${event}; whether it was done is unknown`));
      }, REQUEST_MS);
      this.#waiting.set(id, { resolve, reject, timer, asked: performance.now() });
      this.#wire.request(event, id, json);
    });
  }

  // The user's own room is joined by the gateway, so its position travels with
  // the connection; every other room is joined again by request.
  #open() {
    const since = {};
    for (const room of this.rooms) {
      if (room.own && room.pos && this.#token) since[room.name] = room.pos;
    }
    this.#begun = performance.now();
    this.#become('connecting');
    this.#wire = this.#protocol.open({ ...this.#address, token: this.#token, since }, {
      frame: (out, text, shown) => this.#frame(out, text, shown),
      message: (message) => this.#receive(message),
      closed: (code, reason) => this.#lost(code, reason),
    });
  }

  #frame(out, text, shown) {
    const now = performance.now();
    const waiting = out ? undefined : this.#waiting.get(shown?.id);
    this.#emit('frame', { out, text, shown, at: now - this.#begun, took: waiting && now - waiting.asked });
  }

  #receive(message) {
    const waiting = this.#waiting.get(message.id);
    if (message.event === 'connected') this.#welcome(message.data);
    else if (message.event === 'error' && !waiting) this.#emit('problem', { kind: 'error', ...message.data });
    else this.#note(message);
    if (waiting) this.#settle(message, waiting);
  }

  #settle(message, { resolve, reject, timer }) {
    this.#waiting.delete(message.id);
    clearTimeout(timer);
    if (message.event === 'error') reject(new RequestError(message.data.code, message.data.message));
    else resolve(message);
  }

  #welcome(data) {
    this.#identity = data;
    this.#attempts = 0;
    this.#afterMs = 0;
    this.#become('online');
    for (const room of this.rooms) {
      if (!room.own) this.join(room.name).catch((err) => this.#refused(room.name, err));
      else if (!this.#token) this.#book.forget(room.name); // a guest comes back under another name
    }
    this.#changed();
  }

  #refused(name, err) {
    if (err.code === 'closed' || err.code === 'timeout') return; // tried again with the next connection
    this.#book.forget(name);
    this.#emit('problem', { kind: 'refused', room: name, message: err.message });
    this.#changed();
  }

  #note(message) {
    const { event, data } = message;
    if (event === 'token_expiring') this.#emit('problem', { kind: 'expiring', at: data.expiresAt });
    if (event === 'reconnect') {
      this.#afterMs = data.afterMs ?? 0;
      this.#emit('problem', { kind: 'drain', reason: data.reason });
    }
    const problem = this.#book.note(message);
    if (problem) this.#emit('problem', problem);
    this.#changed();
  }

  #lost(code, reason) {
    const established = this.#state === 'online' || this.#attempts > 0;
    this.#wire = null;
    this.#book.away();
    this.#fail('the connection was lost');
    this.#changed();
    const again = established && !NEVER.has(code);
    const repeated = again && this.#attempts > 0 && code === 1006; // an attempt failed: nothing new
    if (again) this.#wait(NOW.has(code));
    else this.#become('idle');
    if (!repeated) this.#emit('problem', { kind: 'closed', code, reason, established, again });
  }

  // Waits a random time before the next attempt: thousands of clients that
  // lost one gateway must not all come back in the same moment.
  #wait(now) {
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** this.#attempts);
    const floor = now && this.#attempts === 0 ? 0 : ceiling / 2;
    const delay = Math.round(this.#afterMs + floor + Math.random() * (ceiling - floor));
    this.#attempts++;
    this.#afterMs = 0;
    this.#become('waiting', { delay });
    this.#retry = setTimeout(() => this.#open(), delay);
  }

  // Ends the requests that nothing will answer.
  #fail(message) {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new RequestError('closed', message));
    }
    this.#waiting.clear();
  }

  #become(state, more = {}) {
    if (state === 'idle' || state === 'connecting') this.#identity = null;
    this.#state = state;
    this.#emit('state', { state, ...more });
  }

  #changed() { this.#emit('rooms', {}); }

  #emit(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }
}
