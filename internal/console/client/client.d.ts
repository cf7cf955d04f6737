/** Types of the client that the gateway serves at /client.js. */

/** What a token is for: the identity of this client. */
export type Token = string | undefined | null;

export interface Options {
  /** The credential, or what returns one; asked for at every connection and when it runs out. Without one: a guest. */
  token?: Token | (() => Token | Promise<Token>);
  /** "host:port" that the gateway may send this client to, besides the host of the URL. */
  hosts?: string[];
  /** The first attempts to come back are spread over this time, in ms; it doubles. Default 500. */
  minDelay?: number;
  /** The bound of that, in ms. Default 30000. */
  maxDelay?: number;
  /** For a connection to be ready, in ms. Default 15000. */
  connectTimeout?: number;
  /** For the reply to a request, in ms. Default 15000. */
  requestTimeout?: number;
  /** Publishes that wait, of all rooms together. Default 1000. */
  maxQueue?: number;
  /** Publications that wait in an iterator. Default 1000. */
  maxBuffer?: number;
  /** Another implementation than the global one. */
  WebSocket?: typeof WebSocket;
}

export type State = 'connecting' | 'open' | 'waiting' | 'closed';

export interface StateDetail {
  /** The close code, of "waiting" and "closed". */
  code?: number;
  reason?: string;
  /** ms until the next attempt, of "waiting". */
  delay?: number;
}

export interface Identity {
  connectionId: string;
  userId: string;
  instance: string;
  serverVersion: string;
  heartbeatMs: number;
  timestamp: number;
}

export type ErrorCode =
  | 'invalid_message' | 'unauthenticated' | 'forbidden' | 'unknown_event' | 'too_large' | 'rate_limited'
  | 'limit_exceeded' | 'insufficient_state' | 'conflict' | 'unavailable' | 'internal'
  /** Said by the client itself. */
  | 'offline' | 'timeout' | 'queue_full' | 'closed';

export class GatewayError extends Error {
  readonly code: ErrorCode;
  /** The same request may succeed later. */
  readonly retryable: boolean;
  /** A code of the application's own, from the service of a route. */
  readonly reason?: string;
}

/** What is sent to this connection alone, or to everyone. */
export interface Message {
  event: string;
  data: unknown;
}

export interface Meta {
  room: string;
  /** In rooms with history: rises by one. */
  offset?: number;
  pos?: string;
  /** In rooms that conflate: publications left out directly before. */
  skipped?: number;
}

export interface Gap {
  room: string;
  reason: string;
  /** What is missing comes after from, up to offset. */
  from?: number;
  offset?: number;
  pos?: string;
}

export interface Joined {
  recovered: boolean;
  reason?: string;
  /** Ids of users, or how many there are. */
  members?: string[] | number;
  offset?: number;
  pos?: string;
}

export interface Position {
  offset?: number;
  pos?: string;
}

export interface PublishOptions {
  /** false: this connection does not get its own copy. */
  echo?: boolean;
  conflateKey?: string;
  /** Made by the client unless given. */
  idempotencyKey?: string;
  /** In ms; below the gateway's IDEMPOTENCY_TTL. Default 240000. */
  publishTimeout?: number;
}

export interface HistoryPage {
  room: string;
  publications: { event: string; data: unknown; offset: number; pos: string }[];
  more: boolean;
  offset: number;
  pos: string;
}

/** Publications of a room by event: {chat: {text: string}}. */
export type Events = Record<string, any>;

export type Item<E extends Events> =
  | ({ [K in keyof E & string]: { event: K; data: E[K] } & Meta }[keyof E & string])
  | { event: 'gap'; room: string; data: Gap };

export class Room<E extends Events = Events> implements AsyncIterable<Item<E>> {
  readonly name: string;
  /** Resolves once the room is joined for the first time; rejects if it cannot be. */
  readonly joined: Promise<void>;
  /** Where the client has got to: to be kept, and given to resume(). */
  readonly position: string | undefined;
  /** Begins from a position that was kept. Call it right after client.room(), in the same turn. */
  resume(position: string): this;

  on(event: 'room_joined', listener: (joined: Joined) => void): () => void;
  on(event: 'room_left', listener: (reason: string) => void): () => void;
  on(event: 'gap', listener: (gap: Gap) => void): () => void;
  on(event: 'member_joined' | 'member_left', listener: (userId: string) => void): () => void;
  on(event: 'error', listener: (error: GatewayError) => void): () => void;
  on(event: '*', listener: (event: string, data: unknown, meta: Meta) => void): () => void;
  on<K extends keyof E & string>(event: K, listener: (data: E[K], meta: Meta) => void): () => void;
  once<K extends keyof E & string>(event: K, listener: (data: E[K], meta: Meta) => void): () => void;
  off(event: string, listener: (...args: any[]) => void): void;

  /** Resolves once it is stored; repeated without being stored twice until then. A guest's that was under way as
   * its connection ended is "offline": it comes back as another guest, from whom a repeat would be stored twice. */
  publish<K extends keyof E & string>(event: K, data: E[K], options?: PublishOptions): Promise<Position>;
  /** At most once, without an answer; whether it was sent. */
  send<K extends keyof E & string>(event: K, data: E[K], options?: Pick<PublishOptions, 'echo' | 'conflateKey'>): boolean;
  history(options?: { since?: string; limit?: number }): Promise<HistoryPage>;
  members(): Promise<string[]>;
  leave(): Promise<void>;
  [Symbol.asyncIterator](): AsyncIterator<Item<E>>;
}

export class Client {
  readonly state: State;
  /** While open. */
  readonly identity: Identity | null;
  /** The user's own room, from shortly after the state is open on: the event room says when. */
  readonly user: Room | null;
  room<E extends Events = Events>(name: string): Room<E>;
  /** Sends an event of a route; resolves with its reply's data. Not repeated. */
  request<T = unknown>(event: string, data?: unknown): Promise<T>;
  /** Asks for a token and takes it into use, on the live connection. */
  refresh(): Promise<void>;
  close(): void;

  on(event: 'state', listener: (state: State, detail: StateDetail) => void): () => void;
  on(event: 'error', listener: (error: GatewayError) => void): () => void;
  on(event: 'event', listener: (message: Message) => void): () => void;
  /** The gateway put this client into a room that it did not ask for: its own, or one that a backend wants. */
  on(event: 'room', listener: (room: Room) => void): () => void;
  once(event: 'state', listener: (state: State, detail: StateDetail) => void): () => void;
  once(event: 'error', listener: (error: GatewayError) => void): () => void;
  once(event: 'event', listener: (message: Message) => void): () => void;
  once(event: 'room', listener: (room: Room) => void): () => void;
  off(event: string, listener: (...args: any[]) => void): void;
}

export function connect(url: string, options?: Options): Client;
