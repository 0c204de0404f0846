// The seam between the cursor client and the network: what a host gives us to reach a server or a kernel, and what every
// way of reaching one looks like to the client. Types only; implemented by websocket.ts, http.ts and comm.ts.
import type { Clock } from './clock';
import type { ServerMessage } from './messages';
import type { Cursor } from './records';
import type { StreamSettings } from './settings';

/** The three ways a frame reaches a browser, best first. */
export type Transport = 'websocket' | 'http' | 'comm';

/** How a host reaches the server. Paths are relative to PREFIX, without a leading slash: "ws/abc", "api/sessions". */
export interface ServerAccess {
  socketUrl(path: string, query: Record<string, string>): string;
  /** Open a socket; `new WebSocket(url)` where it is left out. */
  openSocket?(url: string): WebSocket;
  /** Send a request; rejects only where there is no answer at all. */
  request(path: string, init?: RequestInit & { query?: Record<string, string> }): Promise<Response>;
}

/** The widget's custom messages, to and from the kernel. */
export interface CommChannel {
  /** False while there is no kernel to speak to; left out where there always is one. */
  readonly alive?: boolean;
  send(message: Record<string, unknown>): void;
  /** Call `listener` with each message; the function returned ends that. */
  listen(listener: (message: unknown) => void): () => void;
}

/** Which way a view is reached, and why not a better one. */
export interface Link {
  /** The transport that delivers; null while connecting (offlineSince null) or offline. */
  readonly transport: Transport | null;
  /** Why not a better one, or why none, in words for people; "" where there is nothing to say. */
  readonly reason: string;
  /** Milliseconds since the epoch by the local clock (Date.now()); null where not offline. */
  readonly offlineSince: number | null;
}

/** Why a transport ended. */
export interface Failure {
  /** In words for people, without a full stop. */
  readonly reason: string;
  /** `retry`: come back soon. `seldom`: it may be different in a minute. `refused`: don't come back. `deleted`: the session is gone. */
  readonly kind: 'retry' | 'seldom' | 'refused' | 'deleted';
}

/** What an adapter works with, and whom it tells. */
export interface AdapterContext {
  readonly sessionId: string;
  readonly clock: Clock;
  readonly settings: StreamSettings;
  /** The position to go on from; null for none. */
  cursor(): Cursor | null;
  /** Whether the curves there have few points. */
  coarse(): boolean;
  onMessage(message: ServerMessage): void;
  /** Told at most once; the adapter has then closed itself. */
  onFailure(failure: Failure): void;
}

/** One connection over one transport. Made for one use: open, then close or failure. */
export interface TransportAdapter {
  open(): void;
  /** Ask again from the cursor, after a hole. */
  resume(): void;
  /** Ask for a sign of life: the page woke up, or a better transport has to prove itself. */
  check(): void;
  close(): void;
}

/** What the stream wants of a lane: to deliver, to leave things as they are, or to be quiet since a better one delivers. */
export type Demand = 'on' | 'idle' | 'off';

/** One transport over the life of a stream: it connects, fails, comes back. Best first, the stream has up to three. */
export interface Lane {
  readonly transport: Transport;
  /** Why its last connection ended, "" before that. */
  readonly reason: string;
  /** True where the next worse lane should be tried as well. */
  readonly givenUp: boolean;
  demand(demand: Demand): void;
  /** Ask again from the cursor, soon. */
  resume(): void;
  /** Nothing is missing (any more). */
  settled(): void;
  /** Ask for a sign of life. */
  check(): void;
  /** End the connection for a reason of the stream's. */
  reject(failure: Failure): void;
  /** The page woke up, or a worse lane got through: try at once, and see whether a connection still lives. */
  wake(): void;
  close(): void;
}

/** What lanes need of the stream that owns them. */
export interface LaneContext {
  readonly sessionId: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly settings: StreamSettings;
  cursor(): Cursor | null;
  coarse(): boolean;
  onMessage(lane: Lane, message: ServerMessage): void;
  onFailure(lane: Lane, failure: Failure): void;
}
