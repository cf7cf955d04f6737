// A client of gateway.v1 for browsers: one user, many rooms, reconnects and
// resumes. It touches no document.
//
// Events (CustomEvent, with detail):
//   state   {state, delay?}       idle, connecting, online, waiting (delay in ms)
//   frame   {out, text, message}  every frame, message null when it is no JSON object
//   rooms   {}                    the list of rooms or something in it changed
//   problem {kind, ...}           error, closed, refused, removed, lost, gap, drain, expiring

import { Book } from './book.js';

export const PROTOCOL = 'gateway.v1';

const REQUEST_MS = 15_000; // a reply that takes longer is not awaited
const PONG_MS = 10_000; // silence after a ping that means the connection is dead
const BACKOFF_MS = 500; // first delay; doubles
const BACKOFF_MAX_MS = 30_000;

// What to do after a close, as the gateway's own table has it. Codes that are
// not here: reconnect with back-off.
const NOW = new Set([1001, 1005, 1006, 1012, 4002, 4008]);
const NEVER = new Set([1002, 1003, 1007, 1008, 1009, 4001, 4003]);

// Failure of a request: code and message as the gateway gave them.
export class RequestError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// A subprotocol name may carry a token only as base64url of its UTF-8.
export function base64url(text) {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

export class Client extends EventTarget {
  #url;
  #token = '';
  #socket = null;
  #state = 'idle';
  #identity = null; // data of "connected"
  #book = new Book();
  #waiting = new Map(); // request id -> {resolve, reject, timer}
  #lastID = 0;
  #attempts = 0;
  #afterMs = 0; // wished by the last "reconnect"
  #heard = 0; // when the last frame came
  #retry = 0; // timers
  #beat = 0;

  constructor(url) {
    super();
    this.#url = url;
  }

  get state() { return this.#state; }
  get identity() { return this.#identity; }
  get rooms() { return this.#book.rooms; }

  // Opens a connection for a user, without a token for a guest, and joins
  // rooms once the gateway says "connected". What rooms an earlier user had
  // joined is forgotten.
  connect(token = '', rooms = []) {
    this.close();
    this.#token = token;
    this.#book = new Book(rooms);
    this.#attempts = 0;
    this.#changed();
    this.#open();
  }

  // Ends the connection and every attempt to renew it.
  close() {
    clearTimeout(this.#retry);
    const socket = this.#drop();
    if (socket) socket.close(1000);
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
      this.#waiting.set(id, { resolve, reject, timer });
      this.#send(`{"event":${JSON.stringify(event)},"id":${id},"data":${json}}`);
    });
  }

  #send(text) {
    this.#socket.send(text);
    this.#emit('frame', { out: true, text, message: parse(text) });
  }

  #open() {
    const protocols = [PROTOCOL];
    if (this.#token) protocols.push(`${PROTOCOL}.bearer.${base64url(this.#token)}`);
    const socket = new WebSocket(this.#address(), protocols);
    this.#socket = socket;
    this.#become('connecting');
    socket.onmessage = ({ data }) => this.#receive(String(data));
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
  }

  // The user's own room is joined by the gateway, so its position travels in
  // the address; every other room is joined again by request.
  #address() {
    const since = {};
    for (const room of this.rooms) {
      if (room.own && room.pos && this.#token) since[room.name] = room.pos;
    }
    if (Object.keys(since).length === 0) return this.#url;
    return `${this.#url}?since=${encodeURIComponent(JSON.stringify(since))}`;
  }

  #receive(text) {
    this.#heard = Date.now();
    const message = parse(text);
    this.#emit('frame', { out: false, text, message });
    if (!message) return;
    const waiting = this.#waiting.get(message.id);
    if (message.event === 'connected') this.#welcome(message.data);
    else if (message.event === 'error' && !waiting) this.#emit('problem', { kind: 'error', ...message.data });
    else this.#note(message, waiting);
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
    this.#heartbeat(data.heartbeatMs);
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

  // A browser cannot see the protocol's own pings: after a time of silence
  // only an answer shows that the connection lives.
  #heartbeat(every) {
    clearTimeout(this.#beat);
    if (!every) return;
    const silent = () => Date.now() - this.#heard;
    const look = () => {
      if (silent() < every) return wait(every - silent());
      this.#send('{"event":"ping","data":{}}');
      const asked = Date.now();
      this.#beat = setTimeout(() => (this.#heard < asked ? this.#cut() : wait(every)), PONG_MS);
    };
    const wait = (ms) => { this.#beat = setTimeout(look, ms); };
    wait(every);
  }

  // A dead connection may take minutes to close; it is not waited for.
  #cut() {
    const socket = this.#drop();
    socket.close();
    this.#lost(1006, 'no answer to a ping');
  }

  // Takes the socket out of use: nothing it says counts any more.
  #drop() {
    clearTimeout(this.#beat);
    const socket = this.#socket;
    this.#socket = null;
    if (socket) socket.onmessage = socket.onclose = null;
    return socket;
  }

  #lost(code, reason) {
    const established = this.#state === 'online' || this.#attempts > 0;
    this.#drop();
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

// The gateway sends JSON objects; anything else is shown and ignored.
function parse(text) {
  try {
    const message = JSON.parse(text);
    return message !== null && typeof message === 'object' && !Array.isArray(message) ? message : null;
  } catch {
    return null;
  }
}
