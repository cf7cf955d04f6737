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

const STABLE = 5000; // ms that a connection lives before the next loss counts as the first
const AT_ONCE = 20; // requests that the client makes by itself

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

  /** For this module alone. */
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
 * (GatewayError), event (message; what is sent to this connection or to
 * everyone), room (Room; one that the gateway put this client into). */
export class Client extends Emitter {
  #options;
  #urls; // where we were told to go, and the URL given, in this order of preference
  #hosts; // that are allowed
  #socket = null;
  #state = 'connecting';
  #identity = null; // data of the last "connected"
  #token; // the one last used
  #refreshing = false;
  #rooms = new Map();
  #requests = new Map(); // id -> {resolve, reject, answered, timer}
  #nextID = 1;
  #attempts = 0; // since a connection was stable
  #refused = 0; // credentials, since one was accepted
  #wish = 0; // afterMs of a "reconnect"
  #opened = 0; // when "connected" came
  #heard = 0; // when the last message came
  #timer = 0; // of the next attempt, or the limit of this one
  #beat = 0;
  #jobs = new Set(); // requests that the client makes by itself, in their order
  #underWay = 0; // of them
  #atOnce = AT_ONCE; // of them at most; less after the gateway found them too many
  #calm = 0; // the timer of a time without them

  constructor(url, options = {}) {
    super();
    this.#options = { ...DEFAULTS, ...options };
    const own = new URL(url, globalThis.location?.href);
    own.protocol = own.protocol.replace('http', 'ws');
    this.#urls = [own];
    this.#hosts = new Set([own.host, ...this.#options.hosts.map((host) => new URL(`${own.protocol}//${host}`).host)]);
    globalThis.addEventListener?.('online', this.#online);
    this.#open();
  }

  /** "connecting", "open", "waiting" (for the next attempt), "closed". */
  get state() { return this.#state; }
  /** {connectionId, userId, instance, …} while open, else null. */
  get identity() { return this.#state === 'open' ? this.#identity : null; }

  /** The room of a name: it is joined, now or once connected, and after every
   * reconnect, until leave(). The same name gives the same room. */
  room(name) {
    let room = this.#rooms.get(name);
    if (!room) {
      room = this.#begin(name);
      if (this.#state === 'open') room._enter();
      if (this.#state === 'closed') room._end(new GatewayError('closed', 'the client was closed'));
    }
    return room;
  }

  /** Sends an event of a route and resolves with its reply's data. It is not
   * repeated: without a reply, whether it was done is unknown. */
  async request(event, data = null) {
    return this._ask(event, data);
  }

  /** Takes a new token into use at once, without losing the connection. */
  async refresh() {
    const token = await this.#fetchToken();
    if (this.#state === 'open') await this._ask('authenticate', { token });
  }

  /** Ends the connection and every attempt to renew it. What waits is refused. */
  close() {
    this.#end(new GatewayError('closed', 'the client was closed'));
  }

  // Requests. Those of rooms and of this class; not for users.

  // Resolves with the reply's data. answered gets it before any message that
  // follows the reply, which a promise does not promise.
  _ask(event, data, answered) {
    if (this.#state !== 'open') return Promise.reject(new GatewayError('offline', 'not connected', { retryable: true }));
    return new Promise((resolve, reject) => {
      const id = this.#nextID++;
      const text = JSON.stringify({ event, id, data }); // may throw
      const timer = setTimeout(() => {
        this.#requests.delete(id);
        reject(new GatewayError('timeout', `no reply to ${event}; whether it was done is unknown`, { retryable: true }));
      }, this.#options.requestTimeout);
      this.#requests.set(id, { resolve, reject, answered, timer });
      this.#socket.send(text);
    });
  }

  _send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  // Does what asks the gateway by itself, soon: a few at a time, since each
  // waits for the one before at the gateway, and a thousand would be a flood.
  _do(job) {
    this.#jobs.add(job);
    queueMicrotask(() => this.#work());
  }

  #work() {
    for (const job of this.#jobs) {
      if (this.#calm || this.#underWay >= this.#atOnce || this.#state !== 'open') return;
      this.#jobs.delete(job);
      this.#underWay++;
      job().finally(() => {
        this.#underWay--;
        this.#work();
      });
    }
  }

  // The gateway found what comes too much, or not.
  _pace(tooMuch) {
    this.#atOnce = tooMuch ? 1 : Math.min(this.#atOnce + 1, AT_ONCE);
    if (!tooMuch || this.#calm || this.#state !== 'open') return;
    this.#calm = setTimeout(() => {
      this.#calm = 0;
      this.#work();
    }, this._delay(1));
  }

  // A random time in ms, whose bound doubles with each failure before.
  _delay(failures) {
    const { minDelay, maxDelay } = this.#options;
    return Math.random() * Math.min(maxDelay, minDelay * 2 ** Math.min(failures, 20));
  }

  #begin(name) {
    const room = new Room(this, name, this.#options);
    if (this.#state !== 'closed') this.#rooms.set(name, room);
    return room;
  }

  // Not a room that has been joined anew meanwhile under the same name.
  _forget(room) {
    if (this.#rooms.get(room.name) === room) this.#rooms.delete(room.name);
  }

  // Publishes that wait, of all rooms.
  _waiting() {
    let n = 0;
    for (const room of this.#rooms.values()) n += room._queued;
    return n;
  }

  // Connecting

  async #open() {
    const timer = setTimeout(() => this.#lost(1006, 'no answer in time'), this.#options.connectTimeout);
    this.#timer = timer;
    const stale = () => timer !== this.#timer; // it took too long, or the client was closed
    this.#become('connecting');
    let socket;
    try {
      const token = await this.#fetchToken();
      if (stale()) return;
      const protocols = token ? [PROTOCOL, `${PROTOCOL}.bearer.${base64url(token)}`] : [PROTOCOL];
      socket = new this.#options.WebSocket(this.#address(), protocols);
    } catch (err) {
      if (stale()) return;
      if (!(err instanceof GatewayError)) { // such as ws: from a page that came by https
        this.#end(new GatewayError('closed', String(err.message)), 1008);
        return;
      }
      this._emit('error', err);
      if (!stale()) this.#lost(1013, 'no token');
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
    try {
      this.#token = typeof token === 'function' ? await token() : token;
    } catch (err) {
      throw new GatewayError('unauthenticated', `no token: ${err?.message ?? err}`, { retryable: true });
    }
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
    const same = !this.#identity || this.#identity.userId === data.userId;
    this.#identity = data;
    this.#opened = now();
    this.#refused = this.#wish = 0;
    this.#refreshing = false;
    for (const room of [...this.#rooms.values()]) {
      if (!room._own) room._enter();
      else if (!same) { // a guest comes back as another one
        this._forget(room);
        room._end(new GatewayError('closed', `${room.name} is another user's: this is ${data.userId} now`));
      }
    }
    this.#listen(data.heartbeatMs);
    this.#become('open');
  }

  #receive(text) {
    this.#heard = now();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return; // the gateway sends JSON alone
    }
    if (message.id === undefined) {
      this.#handle(message);
      return;
    }
    const request = this.#requests.get(message.id);
    if (!request) return; // given up
    this.#requests.delete(message.id);
    clearTimeout(request.timer);
    if (message.event === 'error') {
      request.reject(new GatewayError(message.data.code, message.data.message, message.data));
    } else {
      request.answered?.(message.data);
      request.resolve(message.data);
    }
  }

  // What is no reply.
  #handle(message) {
    const { event, data } = message;
    if (message.room !== undefined) return this.#rooms.get(message.room)?._publication(message);
    switch (event) {
      case 'connected': return this.#welcome(data);
      case 'room_joined': return this.#joined(data);
      case 'room_left': return this.#rooms.get(data.room)?._left(data.reason);
      case 'gap': return this.#rooms.get(data.room)?._gap(data);
      case 'member_joined': case 'member_left': return this.#rooms.get(data.room)?._emit(event, data.userId);
      case 'token_expiring': return this.#renew();
      case 'reconnect': return this.#advised(data);
      case 'error': return this._emit('error', new GatewayError(data.code, data.message, data));
      case 'pong': case 'published': return undefined; // to what was sent without an id
      default: return this._emit('event', message);
    }
  }

  // The gateway put this client into a room: its own, or one that a backend
  // wants. Any other than its own is joined by request from then on.
  #joined(data) {
    const own = /^user:[^:]*$/.test(data.room);
    let room = this.#rooms.get(data.room);
    if (room && !room._own) { // asked for as well: the reply decides
      room._own = own;
      return;
    }
    if (!room) {
      room = this.#begin(data.room);
      room._own = own;
      this._emit('room', room);
    }
    room._joinedAt(data, room._pos !== undefined);
  }

  /** The user's own room, once connected; null for those who have none. */
  get user() {
    for (const room of this.#rooms.values()) if (room._own) return room;
    return null;
  }

  async #renew() {
    if (this.#refreshing || typeof this.#options.token !== 'function') return;
    this.#refreshing = true;
    try {
      await this.refresh();
    } catch (err) { // while the auth service is away this is asked for again and again
      if (this.#state === 'open' && err.code !== 'offline') this._emit('error', err);
    }
    this.#refreshing = false;
  }

  #advised({ afterMs = 0, url }) {
    this.#wish = afterMs;
    const own = this.#urls.at(-1);
    let to;
    try {
      to = new URL(url);
    } catch {
      return; // none, or none that can be used
    }
    to.protocol = to.protocol.replace('http', 'ws');
    if (this.#hosts.has(to.host) && (to.protocol === own.protocol || to.protocol === 'wss:')) this.#urls = [to, own];
  }

  // A browser cannot see the protocol's own pings: after a time of silence only
  // an answer shows that the connection lives.
  #listen(every) {
    clearTimeout(this.#beat);
    if (!every) return;
    const socket = this.#socket;
    const look = () => {
      const silent = now() - this.#heard;
      if (silent < every) {
        this.#beat = setTimeout(look, every - silent);
        return;
      }
      const asked = now();
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

  #drop(err) {
    clearTimeout(this.#beat);
    clearTimeout(this.#timer);
    clearTimeout(this.#calm);
    this.#timer = this.#calm = 0;
    this.#atOnce = AT_ONCE;
    this.#jobs.clear();
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onmessage = socket.onclose = socket.onerror = null;
      socket.close(); // a dead connection may take minutes to close; nobody waits for it
    }
    for (const { reject, timer } of this.#requests.values()) {
      clearTimeout(timer);
      reject(err);
    }
    this.#requests.clear();
  }

  #lost(code, reason) {
    const opened = this.#state === 'open';
    const fresh = typeof this.#options.token === 'function';
    if (code === UNAUTHENTICATED) this.#refused++;
    if (NEVER.has(code) || this.#refused > (fresh ? 1 : 0) || (code === EXPIRED && !fresh)) {
      this.#end(new GatewayError('closed', `the gateway closed for good: ${code} ${reason}`.trim()), code);
      return;
    }
    if (opened && now() - this.#opened >= STABLE) this.#attempts = 0;
    if (!opened && this.#urls.length > 1) this.#urls.shift(); // it is not there: back to the URL given
    for (const room of this.#rooms.values()) room._away();
    this.#drop(new GatewayError('offline', `the connection ended: ${code} ${reason}`.trim(), { retryable: true }));
    this.#wait(code, reason);
  }

  // Waits a random time before the next attempt: thousands of clients that lost
  // one gateway must not all come back in the same moment.
  #wait(code, reason) {
    const delay = Math.round((code === RESTART ? this.#wish : 0) + this._delay(this.#attempts + (NOW.has(code) ? 0 : 2)));
    this.#wish = 0;
    this.#attempts++;
    this.#timer = setTimeout(() => this.#open(), delay);
    this.#become('waiting', { code, reason, delay });
  }

  // The network is back: no reason to wait any longer.
  #online = () => {
    if (this.#state !== 'waiting') return;
    clearTimeout(this.#timer);
    this.#open();
  };

  #end(err, code) {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    globalThis.removeEventListener?.('online', this.#online);
    for (const room of this.#rooms.values()) room._end(err);
    this.#rooms.clear();
    this.#drop(err);
    this._emit('state', 'closed', code === undefined ? {} : { code, reason: err.message });
  }

  // The last thing that is done: a listener may close the client.
  #become(state, detail = {}) {
    if (state === this.#state && state === 'open') return;
    this.#state = state;
    this._emit('state', state, detail);
  }
}

/** A room that the client is in, or wants to be in. Events: the publications'
 * own names and "*" for all, (data, meta); besides room_joined, room_left, gap,
 * member_joined, member_left and error, names that nobody can publish. */
export class Room extends Emitter {
  _own = false; // joined by the gateway at every connection: the user's own
  _pos; // to resume from; undefined in a room without history
  #last; // offset of the last publication seen; undefined as above
  #client;
  #options;
  #state = 'away'; // away, joining, joined, ended
  #turn = 0; // of connections and joins: what belongs to an earlier one is dropped
  #behind = false; // while the history is read; then the room is joined again
  #queue = []; // publishes in their order; the first may be under way
  #sending = false; // it is, or is about to be
  #refusals = 0; // in a row
  #timers = new Set(); // of what was refused and is tried again
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

  /** Begins from a position that was kept, instead of now: call it right after
   * client.room(), in the same turn. */
  resume(position) {
    if (this._pos !== undefined || this.#state === 'joined') throw new Error('the room has begun already');
    this._pos = position;
    return this;
  }

  /** Publishes and resolves with {offset, pos} once it is stored. Without an
   * answer it is repeated, over reconnects too, and stored once; publishes of
   * a room keep their order. Rejects with what the gateway refuses, with
   * "queue_full", with "timeout" when it is not known after publishTimeout, and
   * with "offline" when a guest loses the connection before the answer: it
   * comes back as another one, from whom a repeat would be stored twice. */
  publish(event, data, { echo, conflateKey, idempotencyKey = randomKey(), publishTimeout = 240_000 } = {}) {
    if (this.#state === 'ended') return Promise.reject(new GatewayError('closed', `not in ${this.name} any more`));
    if (this.#client._waiting() >= this.#options.maxQueue) {
      return Promise.reject(new GatewayError('queue_full', `${this.#options.maxQueue} publishes wait`, { retryable: true }));
    }
    return new Promise((resolve, reject) => {
      const copy = data === undefined ? undefined : JSON.parse(JSON.stringify(data)); // a repeat has the same content
      const item = { body: { room: this.name, event, data: copy, idempotencyKey, conflateKey, echo }, resolve, reject };
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
    return this.#client._ask('history', { room: this.name, since, limit });
  }

  /** The ids of all users who are in the room, page by page underneath. */
  async members() {
    const all = [];
    for (let page; ;) {
      const { members, next } = await this.#client._ask('presence', { room: this.name, page });
      all.push(...(members ?? []));
      if (next === undefined) return all;
      page = next;
    }
  }

  /** Leaves the room; publishes that wait are refused, iterators end. */
  async leave() {
    if (this._own) throw new GatewayError('forbidden', "a user's own room is joined for as long as the connection lives");
    if (this.#state === 'ended') return;
    const entered = this.#state === 'joining' || this.#state === 'joined';
    this.#client._forget(this);
    this._end(new GatewayError('closed', `left ${this.name}`));
    try {
      if (entered) await this.#client._ask('leave_room', { room: this.name });
    } catch (err) {
      if (err.code !== 'offline' && err.code !== 'closed') throw err; // else the connection ended, and the membership with it
    }
  }

  /** All publications and gaps from now on, as {event, data, offset, pos, …},
   * until the room ends. A loop that is more than maxBuffer behind gets a gap. */
  [Symbol.asyncIterator]() {
    const it = new Buffered(this.name, this.#options.maxBuffer, () => this.#iterators.delete(it));
    if (this.#state === 'ended') it.end();
    else this.#iterators.add(it);
    return it;
  }

  // Joins soon, as there is a connection.
  _enter() { this.#client._do(this.#join); }

  #join = async () => {
    if (this.#state === 'ended') return;
    const turn = ++this.#turn;
    this.#state = 'joining';
    const since = this._pos;
    try {
      await this.#client._ask('join_room', { room: this.name, since }, (data) => {
        if (turn === this.#turn) this._joinedAt(data, since !== undefined);
      });
      this.#client._pace(false);
    } catch (err) {
      if (turn !== this.#turn) return; // the next connection joins
      if (err.retryable) {
        this.#again(this.#join, err);
        return;
      }
      this.#client._forget(this);
      this._end(err);
      this._emit('error', err);
    }
  };

  // Tries again what was refused for now.
  #again(job, err) {
    if (err.code === 'rate_limited') {
      this.#client._pace(true);
      this.#client._do(job);
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#client._do(job);
    }, this.#client._delay(Math.min(++this.#refusals, 4)));
    this.#timers.add(timer);
  }

  _joinedAt({ offset, pos, recovered, reason, members }, asked) {
    if (this.#state === 'ended') return;
    this.#state = 'joined';
    this.#refusals = 0;
    this.#behind = asked && !recovered && reason === 'too_far_behind';
    this.#ready.resolve();
    this.#pump();
    if (this.#behind) {
      this.#client._do(this.#catchUp);
      return; // the join that follows is told
    }
    if (!asked || !recovered) {
      const from = this.#last;
      const missed = asked && pos !== this._pos; // a gap may have told so before
      [this.#last, this._pos] = [offset, pos];
      if (missed) this.#hole({ room: this.name, reason, from, offset, pos });
    } else this.#last ??= offset; // begun from a position that was kept
    this._emit('room_joined', { recovered, reason, members, offset, pos });
  }

  // What was missed is too much to be sent at once, but the history has it. What
  // comes live meanwhile is dropped: the join at the end brings it.
  #catchUp = async () => {
    const turn = this.#turn;
    if (!this.#behind) return;
    try {
      const page = await this.history({ since: this._pos });
      for (const message of page.publications) {
        if (turn !== this.#turn) return;
        this.#deliver({ room: this.name, ...message });
      }
      if (turn === this.#turn) this.#client._do(page.more ? this.#catchUp : this.#join);
    } catch (err) {
      if (turn === this.#turn) this.#again(err.retryable ? this.#catchUp : this.#join, err); // trimmed meanwhile: the join says so
    }
  };

  // Between a join and its reply nothing counts: the reply says where the room
  // goes on, and what is missed follows it.
  get #live() { return this.#state === 'joined' && !this.#behind; }

  _publication(message) {
    if (this.#live) this.#deliver(message);
  }

  // An offset may be more than one above the last: the publications between
  // were not for this connection.
  #deliver(message) {
    const { event, data, ...meta } = message;
    const { offset, pos } = meta;
    if (offset !== undefined) {
      if (offset <= this.#last) return; // seen
      [this.#last, this._pos] = [offset, pos];
    }
    for (const it of [...this.#iterators]) it.push(message);
    if (event !== '*') this._emit(event, data, meta);
    this._emit('*', event, data, meta);
  }

  _gap(gap) {
    if (!this.#live) return;
    this.#last = gap.offset; // without one, what comes next says where the room is, or the next join
    if (gap.pos !== undefined) this._pos = gap.pos;
    this.#hole(gap);
  }

  #hole(gap) {
    for (const it of [...this.#iterators]) it.push({ event: 'gap', room: this.name, data: gap });
    this._emit('gap', gap);
  }

  #pump() {
    if (this.#sending || this.#state !== 'joined' || this.#queue.length === 0) return;
    this.#sending = true;
    this.#client._do(this.#publish);
  }

  #publish = async () => {
    const item = this.#queue[0];
    const connection = this.#client.identity;
    if (item && this.#state === 'joined') {
      let refused = null;
      try {
        if (item.user !== undefined && item.user !== connection.userId) { // keys are each user's own
          throw new GatewayError('offline', 'the connection ended before the answer; whether it is stored is unknown');
        }
        item.user = connection.userId;
        const { offset, pos } = await this.#client._ask('publish', item.body);
        this.#client._pace(false);
        this.#refusals = 0;
        this.#settle(item, () => item.resolve({ offset, pos }));
      } catch (err) {
        if (err.retryable) refused = err;
        else this.#settle(item, () => item.reject(err));
      }
      if (connection !== this.#client.identity) return; // the next connection goes on
      if (refused && this.#state !== 'ended') {
        this.#again(this.#publish, refused);
        return;
      }
    }
    this.#sending = false;
    this.#pump();
  };

  #settle(item, tell) {
    clearTimeout(item.timer);
    const at = this.#queue.indexOf(item);
    if (at >= 0) this.#queue.splice(at, 1); // else it was given up before
    tell();
  }

  _left(reason) {
    this.#client._forget(this);
    this._end(new GatewayError('forbidden', `no member of ${this.name} any more: ${reason}`));
    this._emit('room_left', reason);
  }

  _away() {
    this.#turn++;
    this.#state = 'away';
    this.#behind = this.#sending = false;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  _end(err) {
    this._away();
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
    const oldest = this.#items.shift();
    const { offset, pos, from: before = offset && offset - 1 } = oldest.event === 'gap' ? oldest.data : oldest;
    const from = this.#lost?.data.from ?? before;
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

const now = () => performance.now(); // ms; the machine's clock may be set

function randomKey() {
  return base64url(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16)).map((b) => b & 0x7f)));
}

function withResolvers() {
  const all = {};
  all.promise = new Promise((resolve, reject) => { Object.assign(all, { resolve, reject }); });
  return all;
}
