// A client of ws-gateway for browsers and Node.js 22 or newer: one connection,
// many rooms. It reconnects, resumes every room from where it was, repeats what
// was not acknowledged, and drops what it has seen: each publication of a room
// with history is observed once and in order, or a "gap" is told.
//
//   import { connect } from 'http://localhost:3007/client.js';
//
//   const client = connect('ws://localhost:3007/ws', { token: () => 'ann' });
//   const lobby = client.room('lobby');
//   lobby.on('chat', (data, { offset }) => console.log(offset, data));
//   await lobby.publish('chat', { text: 'hello' });
//
// client.d.ts beside it describes everything in types.

const PROTOCOL = 'gateway.v1';

// What to do after a close, as the gateway's own table has it; later: codes
// that are not here.
const NOW = new Set([1001, 1005, 1006, 1012, 4002, 4008]);
const NEVER = new Set([1002, 1003, 1007, 1008, 1009, 4003]);
const UNAUTHENTICATED = 4001;
const EXPIRED = 4002;
const RESTART = 1012;

const DEFAULTS = {
  token: undefined, // string, or function that returns one or a promise of one
  hosts: [], // host:port that a "reconnect" may send us to, besides that of the URL
  minDelay: 500, // ms; the first attempts to come back are spread over it
  maxDelay: 30_000, // ms; the bound of its doubling
  connectTimeout: 15_000, // ms until "connected"
  requestTimeout: 15_000, // ms for a reply
  maxQueue: 1000, // publishes that wait, of all rooms together
  maxBuffer: 1000, // publications that wait in an iterator
  WebSocket: globalThis.WebSocket,
};

/** Opens a connection and keeps it until close(). */
export function connect(url, options) {
  return new Client(url, options);
}

/** What the gateway, or this client, refused: code is one of the gateway's, or
 * "offline", "timeout", "queue_full", "closed". */
export class GatewayError extends Error {
  constructor(code, message, { retryable = false, reason } = {}) {
    super(message);
    this.name = 'GatewayError';
    this.code = code;
    this.retryable = retryable;
    if (reason !== undefined) this.reason = reason;
  }
}

// Listeners by event. One that throws does not keep the others from hearing:
// its error is reported as one of nobody's.
class Emitter {
  #listeners = new Map();

  /** Calls listener at each event of this name; returns what ends that. */
  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(listener);
    return () => this.off(name, listener);
  }

  /** As on, for the next event alone. */
  once(name, listener) {
    const off = this.on(name, (...args) => { off(); listener(...args); });
    return off;
  }

  off(name, listener) {
    this.#listeners.get(name)?.delete(listener);
  }

  _emit(name, ...args) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(...args);
      } catch (err) {
        queueMicrotask(() => { throw err; });
      }
    }
  }
}

/** One connection that comes back. Events: state (state, detail), error
 * (GatewayError), event (message; what is sent to this user or to everyone). */
export class Client extends Emitter {
  #options;
  #urls; // where we were told to go, and the URL given, in this order of preference
  #hosts; // that are allowed
  #socket = null;
  #state = 'connecting';
  #identity = null; // data of "connected"
  #token; // the one last used
  #rooms = new Map();
  #requests = new Map(); // id -> {resolve, reject, timer}
  #nextID = 1;
  #attempts = 0; // since the last "connected"
  #wish = null; // {afterMs} of a "reconnect"
  #heard = 0; // when the last message came
  #timer = 0; // of the next attempt, or the limit of this one
  #beat = 0;

  constructor(url, options = {}) {
    super();
    this.#options = { ...DEFAULTS, ...options };
    const own = new URL(url, globalThis.location?.href);
    own.protocol = own.protocol.replace('http', 'ws');
    this.#urls = [own];
    this.#hosts = new Set([own.host, ...this.#options.hosts]);
    globalThis.addEventListener?.('online', this.#online);
    this.#open();
  }

  /** "connecting", "open", "waiting" (for the next attempt), "closed". */
  get state() { return this.#state; }
  /** {connectionId, userId, instance, …} while open, else null. */
  get identity() { return this.#identity; }

  /** The room of a name: it is joined, now or once connected, and after every
   * reconnect, until leave(). The same name gives the same room. */
  room(name) {
    let room = this.#rooms.get(name);
    if (!room) {
      room = new Room(this, name, this.#options);
      this.#rooms.set(name, room);
      if (this.#state === 'open') room._join();
    }
    return room;
  }

  /** Sends an event of a route and resolves with its reply's data. It is not
   * repeated: without a reply, whether it was done is unknown. */
  async request(event, data = null) {
    return (await this._ask(event, data)).data;
  }

  /** Takes a new token into use at once, without losing the connection. */
  async refresh() {
    const token = await this.#fetchToken();
    if (this.#state !== 'open') return;
    await this._ask('authenticate', { token });
  }

  /** Ends the connection and every attempt to renew it. What waits is refused. */
  close() {
    this.#end(new GatewayError('closed', 'the client was closed'));
  }

  // Requests. Those of rooms and of this class; not for users.

  _ask(event, data) {
    if (this.#state !== 'open') return Promise.reject(new GatewayError('offline', 'not connected', { retryable: true }));
    const id = this.#nextID++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#requests.delete(id);
        reject(new GatewayError('timeout', `no reply to ${event}; whether it was done is unknown`, { retryable: true }));
      }, this.#options.requestTimeout);
      this.#requests.set(id, { resolve, reject, timer });
      this._send({ event, id, data });
    });
  }

  _send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  _forget(room) {
    this.#rooms.delete(room.name);
  }

  // Publishes that wait, of all rooms.
  _waiting() {
    let n = 0;
    for (const room of this.#rooms.values()) n += room._queued;
    return n;
  }

  // Connecting

  async #open() {
    this.#become('connecting');
    this.#timer = setTimeout(() => this.#lost(1006, 'no answer in time'), this.#options.connectTimeout);
    const timer = this.#timer;
    let token;
    try {
      token = await this.#fetchToken();
    } catch (err) {
      if (timer !== this.#timer) return;
      this._emit('error', new GatewayError('unauthenticated', `no token: ${err?.message ?? err}`, { retryable: true }));
      this.#lost(1013, 'no token');
      return;
    }
    if (timer !== this.#timer || this.#state !== 'connecting') return; // it took too long, or was closed
    const protocols = token ? [PROTOCOL, `${PROTOCOL}.bearer.${base64url(token)}`] : [PROTOCOL];
    let socket;
    try {
      socket = new this.#options.WebSocket(this.#address(), protocols);
    } catch (err) { // such as ws: from a page that came by https
      this.#end(new GatewayError('closed', String(err.message)), 1008);
      return;
    }
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
    socket.onerror = () => { // a close follows, but not in every version of Node.js
      setTimeout(() => { if (socket === this.#socket && socket.readyState !== 1) this.#lost(1006, ''); });
    };
  }

  async #fetchToken() {
    const { token } = this.#options;
    this.#token = typeof token === 'function' ? await token() : token;
    return this.#token;
  }

  // The user's own room is joined by the gateway, so its position travels in
  // the address; every other room is joined by request.
  #address() {
    const url = new URL(this.#urls[0]);
    const since = {};
    for (const room of this.#rooms.values()) if (room._own && room._pos) since[room.name] = room._pos;
    if (this.#token && Object.keys(since).length > 0) url.searchParams.set('since', JSON.stringify(since));
    return url.href;
  }

  #welcome(data) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const same = this.#identity === null || this.#identity.userId === data.userId;
    this.#identity = data;
    this.#attempts = 0;
    this.#wish = null;
    this.#become('open');
    this.#listen(data.heartbeatMs);
    for (const room of this.#rooms.values()) {
      if (!room._own) room._join();
      else if (!same) this.#rooms.delete(room.name); // another user now: a guest comes back under another name
    }
  }

  #receive(text) {
    this.#heard = Date.now();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return; // the gateway sends JSON alone
    }
    const request = this.#requests.get(message.id);
    if (request) {
      this.#requests.delete(message.id);
      clearTimeout(request.timer);
      if (message.event === 'error') {
        const { code, message: words } = message.data;
        request.reject(new GatewayError(code, words, message.data));
      } else {
        request.resolve(message);
      }
    }
    this.#handle(message, request !== undefined);
  }

  #handle(message, answered) {
    const { event, data } = message;
    if (message.room !== undefined) return this.#rooms.get(message.room)?._publication(message);
    switch (event) {
      case 'connected': return this.#welcome(data);
      case 'room_joined': return this.#joined(data, answered);
      case 'room_left': return this.#rooms.get(data.room)?._left(data.reason);
      case 'gap': return this.#rooms.get(data.room)?._gap(data);
      case 'member_joined': case 'member_left': return this.#rooms.get(data.room)?._emit(event, data.userId);
      case 'token_expiring': return void this.refresh().catch((err) => this._emit('error', err));
      case 'reconnect': return this.#advised(data);
      case 'error': return answered ? undefined : this._emit('error', new GatewayError(data.code, data.message, data));
      default: if (!answered) this._emit('event', message); // to this connection, or to everyone
    }
  }

  #joined(data, answered) {
    let room = this.#rooms.get(data.room);
    if (!room && !answered) {
      room = new Room(this, data.room, this.#options);
      this.#rooms.set(data.room, room);
    }
    if (!room) return; // left meanwhile
    if (!answered && !room._own) {
      room._own = true;
      if (room._joining) return; // its own request decides
    }
    room._joinedAt(data);
  }

  /** The user's own room, once connected; null for those who have none. */
  get user() {
    for (const room of this.#rooms.values()) if (room._own) return room;
    return null;
  }

  #advised({ afterMs = 0, url }) {
    this.#wish = { afterMs };
    if (!url) return;
    const to = new URL(url);
    const own = this.#urls.at(-1);
    if (this.#hosts.has(to.host) && (to.protocol === own.protocol || to.protocol === 'wss:')) this.#urls = [to, own];
  }

  // A browser cannot see the protocol's own pings: after a time of silence only
  // an answer shows that the connection lives.
  #listen(every) {
    clearTimeout(this.#beat);
    if (!every) return;
    const socket = this.#socket;
    const look = () => {
      const silent = Date.now() - this.#heard;
      if (silent < every) {
        this.#beat = setTimeout(look, every - silent);
        return;
      }
      const asked = Date.now();
      this._send({ event: 'ping', data: {} });
      this.#beat = setTimeout(() => {
        if (socket !== this.#socket) return;
        if (this.#heard >= asked) look();
        else this.#lost(1006, 'no answer to a ping');
      }, Math.max(every / 2, 1000));
    };
    this.#beat = setTimeout(look, every);
  }

  // Losing

  #drop() {
    clearTimeout(this.#beat);
    clearTimeout(this.#timer);
    this.#timer = 0;
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close(); // a dead connection may take minutes to close; nobody waits for it
  }

  #lost(code, reason) {
    this.#drop();
    for (const room of this.#rooms.values()) room._away();
    const err = new GatewayError('offline', `the connection ended: ${code} ${reason}`.trim(), { retryable: true });
    for (const { reject, timer } of this.#requests.values()) {
      clearTimeout(timer);
      reject(err);
    }
    this.#requests.clear();
    const fresh = typeof this.#options.token === 'function';
    if (NEVER.has(code) || (code === UNAUTHENTICATED && (!fresh || this.#attempts > 0)) || (code === EXPIRED && !fresh)) {
      this.#end(new GatewayError('closed', `the gateway closed for good: ${code} ${reason}`.trim()), code);
      return;
    }
    if (this.#urls.length > 1 && this.#attempts > 0) this.#urls.shift(); // it is not there: back to the URL given
    this.#wait(code, reason);
  }

  // Waits a random time before the next attempt: thousands of clients that lost
  // one gateway must not all come back in the same moment.
  #wait(code, reason) {
    const { minDelay, maxDelay } = this.#options;
    const ceiling = Math.min(maxDelay, minDelay * 2 ** Math.min(this.#attempts + (NOW.has(code) ? 0 : 2), 20));
    const after = code === RESTART && this.#wish ? this.#wish.afterMs : 0;
    const delay = Math.round(after + Math.random() * ceiling);
    this.#wish = null;
    this.#attempts++;
    this.#become('waiting', { code, reason, delay });
    this.#timer = setTimeout(() => this.#open(), delay);
  }

  // The network is back: no reason to wait any longer.
  #online = () => {
    if (this.#state !== 'waiting') return;
    clearTimeout(this.#timer);
    this.#open();
  };

  #end(err, code) {
    if (this.#state === 'closed') return;
    this.#become('closed', code === undefined ? {} : { code, reason: err.message });
    this.#drop();
    globalThis.removeEventListener?.('online', this.#online);
    for (const { reject, timer } of this.#requests.values()) {
      clearTimeout(timer);
      reject(err);
    }
    this.#requests.clear();
    for (const room of this.#rooms.values()) room._end(err);
    this.#identity = null;
  }

  #become(state, detail = {}) {
    if (state === this.#state && state !== 'connecting') return;
    this.#state = state;
    this._emit('state', state, detail);
  }
}

/** A room that the client is in, or wants to be in. Events: the publications'
 * own names and "*" for all, (data, meta); besides room_joined, room_left, gap,
 * member_joined, member_left and error, names that nobody can publish. */
export class Room extends Emitter {
  _own = false; // joined by the gateway: the user's own
  _pos; // to resume from; undefined in a room without history
  #last; // offset of the last publication seen; undefined as above
  #client;
  #options;
  #state = 'away'; // away, joining, joined, ended
  #turn = 0; // of connections and joins: what belongs to an earlier one is dropped
  #queue = []; // publishes in their order; the first may be under way
  #sending = false;
  #behind = null; // while the history is read: {until, live}
  #iterators = new Set();
  #ready;

  constructor(client, name, options) {
    super();
    this.#client = client;
    this.#options = options;
    /** The room's name. */
    this.name = name;
    this.#ready = Promise.withResolvers?.() ?? withResolvers();
    this.#ready.promise.catch(() => {}); // whoever waits for it hears of it
  }

  /** Resolves once the room is joined for the first time; rejects if it cannot be. */
  get joined() { return this.#ready.promise; }
  /** Where the client has got to, to be kept and given to resume(); undefined
   * in a room without history. */
  get position() { return this._pos; }
  get _queued() { return this.#queue.length; }
  get _joining() { return this.#state === 'joining'; }

  /** Begins from a position that was kept, instead of now: call it right after
   * client.room(), before anything has come. */
  resume(position) {
    if (this._pos !== undefined || this.#state === 'joined') throw new Error('the room has begun already');
    this._pos = position;
    return this;
  }

  /** Publishes and resolves with {offset, pos} once it is stored. Without an
   * answer it is repeated, over reconnects too, and stored once; publishes of
   * a room keep their order. Rejects with what the gateway refuses, with
   * "queue_full", and with "timeout" when it is not known after publishTimeout. */
  publish(event, data, { echo, conflateKey, idempotencyKey = randomKey(), publishTimeout = 240_000 } = {}) {
    if (this.#state === 'ended') return Promise.reject(new GatewayError('closed', `not in ${this.name} any more`));
    if (this.#client._waiting() >= this.#options.maxQueue) {
      return Promise.reject(new GatewayError('queue_full', `${this.#options.maxQueue} publishes wait`, { retryable: true }));
    }
    return new Promise((resolve, reject) => {
      const item = { body: { room: this.name, event, data, idempotencyKey, conflateKey, echo }, resolve, reject };
      item.timer = setTimeout(() => {
        this.#queue.splice(this.#queue.indexOf(item), 1);
        reject(new GatewayError('timeout', 'no answer; whether it is stored is unknown', { retryable: true }));
      }, publishTimeout);
      this.#queue.push(item);
      this.#pump();
    });
  }

  /** Publishes without an answer and at most once, for what the next one
   * replaces: a cursor, a typing mark. Returns whether it was sent. */
  send(event, data, { echo, conflateKey } = {}) {
    if (this.#state !== 'joined') return false;
    this.#client._send({ event: 'publish', data: { room: this.name, event, data, conflateKey, echo } });
    return true;
  }

  /** One page of the room's history: {publications, more, offset, pos}. */
  async history({ since, limit } = {}) {
    return (await this.#client._ask('history', { room: this.name, since, limit })).data;
  }

  /** The ids of all users who are in the room, page by page underneath. */
  async members() {
    const all = [];
    for (let page; ;) {
      const { data } = await this.#client._ask('presence', { room: this.name, page });
      all.push(...(data.members ?? []));
      if (data.next === undefined) return all;
      page = data.next;
    }
  }

  /** Leaves the room; publishes that wait are refused, iterators end. */
  async leave() {
    this._end(new GatewayError('closed', `left ${this.name}`));
    this.#client._forget(this);
    if (this.#client.state === 'open') await this.#client._ask('leave_room', { room: this.name });
  }

  /** All publications and gaps from now on, as {event, data, offset, pos, …},
   * until the room ends. A loop that is more than maxBuffer behind gets a gap. */
  [Symbol.asyncIterator]() {
    const it = new Buffered(this.name, this.#options.maxBuffer, () => this.#iterators.delete(it));
    if (this.#state === 'ended') it.end();
    else this.#iterators.add(it);
    return it;
  }

  async _join() {
    const turn = ++this.#turn;
    this.#state = 'joining';
    this.#behind = null;
    const since = this._pos;
    try {
      await this.#client._ask('join_room', since === undefined ? { room: this.name } : { room: this.name, since });
    } catch (err) {
      if (turn !== this.#turn || this.#client.state !== 'open') return; // the next connection joins
      if (err.retryable) {
        setTimeout(() => { if (turn === this.#turn) this._join(); }, this.#pause());
        return;
      }
      this.#client._forget(this);
      this._end(err);
      this._emit('error', err);
    }
  }

  #pause() { return this.#options.minDelay * (0.5 + Math.random()); }

  _joinedAt({ offset, pos, recovered, reason, members }) {
    const asked = this._pos !== undefined;
    this.#state = 'joined';
    if (asked && !recovered && reason === 'too_far_behind') this.#catchUp(offset);
    else if (!asked || !recovered) {
      const from = this.#last;
      [this.#last, this._pos] = [offset, pos];
      if (asked) this.#hole({ room: this.name, reason, from, offset, pos });
    } else if (this.#last === undefined) this.#last = offset; // begun from a position that was kept
    this.#ready.resolve();
    this._emit('room_joined', { recovered, reason, members, offset, pos });
    this.#pump();
  }

  // What was missed is too much to be sent at once, but the history has it.
  async #catchUp(until) {
    const turn = this.#turn;
    const behind = { until, live: [] };
    this.#behind = behind;
    try {
      for (let more = true; more && !(this.#last >= behind.until);) {
        const page = await this.history({ since: this._pos });
        if (turn !== this.#turn) return;
        for (const message of page.publications) this.#deliver({ room: this.name, ...message });
        more = page.more;
      }
    } catch (err) {
      if (turn !== this.#turn) return;
      if (err.retryable) {
        setTimeout(() => { if (turn === this.#turn) this.#catchUp(behind.until); }, this.#pause());
        return;
      }
      const from = this.#last; // it has been trimmed meanwhile
      this.#last = behind.until;
      this.#hole({ room: this.name, reason: 'trimmed', from, offset: behind.until });
    }
    this.#behind = null;
    for (const message of behind.live) this._publication(message);
  }

  _publication(message) {
    if (this.#behind) {
      const { live } = this.#behind;
      live.push(message);
      if (live.length > this.#options.maxBuffer) { // the history has these too
        this.#behind.until = live.at(-1).offset;
        live.length = 0;
      }
      return;
    }
    if (message.event === undefined) this._gap(message.gap);
    else this.#deliver(message);
  }

  #deliver(message) {
    const { event, data, ...meta } = message;
    const { offset, pos, skipped = 0 } = meta;
    if (offset !== undefined && this.#last !== undefined) {
      if (offset <= this.#last) return; // seen
      if (offset > this.#last + 1 + skipped) { // the gateway promises that this does not happen
        if (this.#state === 'joined') this._join();
        return;
      }
    }
    if (offset !== undefined) [this.#last, this._pos] = [offset, pos];
    this._emit(event, data, meta);
    this._emit('*', event, data, meta);
    for (const it of this.#iterators) it.push(message);
  }

  _gap(gap) {
    if (this.#behind) {
      this.#behind.live.push({ gap });
      return;
    }
    if (gap.offset !== undefined) [this.#last, this._pos] = [gap.offset, gap.pos];
    this.#hole(gap);
  }

  #hole(gap) {
    this._emit('gap', gap);
    for (const it of this.#iterators) it.push({ event: 'gap', room: this.name, data: gap });
  }

  async #pump() {
    if (this.#sending || this.#state !== 'joined' || this.#queue.length === 0) return;
    this.#sending = true;
    const item = this.#queue[0];
    let pause = 0;
    try {
      const { data } = await this.#client._ask('publish', item.body);
      this.#settle(item, () => item.resolve({ offset: data.offset, pos: data.pos }));
    } catch (err) {
      if (!err.retryable) this.#settle(item, () => item.reject(err));
      else if (err.code !== 'offline') pause = this.#pause();
    }
    if (pause > 0) await new Promise((resolve) => { setTimeout(resolve, pause); });
    this.#sending = false;
    this.#pump();
  }

  #settle(item, tell) {
    clearTimeout(item.timer);
    const at = this.#queue.indexOf(item);
    if (at >= 0) this.#queue.splice(at, 1); // else it was given up before
    tell();
  }

  _left(reason) {
    if (reason === undefined) return; // the reply to leave()
    this.#client._forget(this);
    this._emit('room_left', reason);
    this._end(new GatewayError('forbidden', `no member of ${this.name} any more: ${reason}`));
  }

  _away() {
    this.#turn++;
    this.#behind = null;
    if (this.#state !== 'ended') this.#state = 'away';
  }

  _end(err) {
    this.#turn++;
    this.#state = 'ended';
    for (const item of this.#queue.splice(0)) {
      clearTimeout(item.timer);
      item.reject(err);
    }
    for (const it of this.#iterators) it.end();
    this.#iterators.clear();
    this.#ready.reject(err);
  }
}

// What an async iterator has not handed out yet, within a bound.
class Buffered {
  #room;
  #max;
  #items = [];
  #takers = [];
  #lost = null; // the gap in front of items
  #ended = false;
  #done;

  constructor(room, max, done) {
    [this.#room, this.#max, this.#done] = [room, max, done];
  }

  push(message) {
    const take = this.#takers.shift();
    if (take) {
      take({ value: message, done: false });
      return;
    }
    this.#items.push(message);
    if (this.#items.length <= this.#max) return;
    const { offset, pos } = this.#items.shift();
    const from = this.#lost?.data.from ?? (offset === undefined ? undefined : offset - 1);
    this.#lost = { event: 'gap', room: this.#room, data: { room: this.#room, reason: 'buffer', from, offset, pos } };
  }

  end() {
    this.#ended = true;
    for (const take of this.#takers.splice(0)) take({ value: undefined, done: true });
  }

  next() {
    const message = this.#lost ?? this.#items.shift();
    this.#lost = null;
    if (message) return Promise.resolve({ value: message, done: false });
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => { this.#takers.push(resolve); });
  }

  return() {
    this.#done();
    this.#items.length = 0;
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator]() { return this; }
}

// A subprotocol name may carry a token only as base64url of its UTF-8.
function base64url(text) {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function randomKey() {
  return base64url(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16)).map((b) => b & 0x7f)));
}

function withResolvers() {
  const all = {};
  all.promise = new Promise((resolve, reject) => { Object.assign(all, { resolve, reject }); });
  return all;
}
