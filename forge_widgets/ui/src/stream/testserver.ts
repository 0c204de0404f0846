// A small real server and kernel of our protocol for the tests: sockets and polls over loopback, with faults to switch on.
// Imported by tests alone.
import { createServer, get } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deflateSync } from 'node:zlib';

import { WebSocket as NodeWebSocket, WebSocketServer } from 'ws';
import type { WebSocket as Socket } from 'ws';

import { emptyState, fold } from './state';
import type { State } from './state';
import { keyMessage, parsedRecords, rowsMessage } from './testing';
import type { Json } from './testing';
import type { CommChannel, ServerAccess } from './transport';

/** A log of rows: the row at offset n is step n. */
export class TestLog {
  epoch = 'e1';
  top = 0;
  state: State = emptyState();

  append(count: number): void {
    for (const record of parsedRecords(rowsMessage(this.epoch, this.top + 1, this.top + count)['records'])) {
      this.state = fold(this.state, record);
    }
    this.top += count;
  }

  restart(epoch: string): void {
    Object.assign(this, { epoch, top: 0, state: emptyState() });
  }

  /** Return what a viewer at a cursor gets next; null where nothing is new. */
  frame(epoch: string | null, after: number): Json | null {
    const goesOn = epoch === this.epoch && after <= this.top;
    if (goesOn && after === this.top) return null;
    if (goesOn) return rowsMessage(this.epoch, after + 1, this.top);
    const state = { ...this.state, metrics: Object.fromEntries(this.state.metrics) };
    const steps = Array.from({ length: this.top }, (_, index) => index + 1);
    const series = [{ metric: 'loss', model: 1, steps, values: steps.map((step) => 1 / step) }];
    return keyMessage(this.top === 0 ? '' : this.epoch, this.top, state, { recovered: epoch === null, series });
  }

  heartbeat(): Json {
    return { type: 'heartbeat', epoch: this.epoch, top: this.top, unsaved: 0, reason: '', timestamp: Date.now() / 1000 };
  }
}

interface Faults {
  /** Upgrades are cut off; accepted, but never welcomed, or sent frames without it; welcomed, but then silent. */
  socketsBlocked?: boolean;
  socketsMute?: boolean;
  socketsNameless?: boolean;
  socketsSilent?: boolean;
  /** A code to close sockets with instead of a welcome. */
  closeCode?: number;
  /** Polls are answered with this status; polls that wait are cut off. */
  pollStatus?: number;
  longPollsCut?: boolean;
  /** The versions that are spoken, where ours is none of them; the one that is welcomed with. */
  protocols?: readonly number[];
  protocol?: number;
  /** What was seen of the session was deleted. */
  deleted?: boolean;
  /** Frames come deflated. */
  deflates?: boolean;
  /** Key frames have few points unless a whole one is asked for. */
  coarse?: boolean;
  /** And are too short to show how fast the link is. */
  brief?: boolean;
  /** The next frame is lost on the way. */
  loseFrame?: boolean;
}

interface Viewer {
  readonly socket: Socket;
  epoch: string | null;
  after: number;
}

/** Serves one log at /ws/s and /api/sessions/s/events. */
export class TestServer {
  readonly log: TestLog;
  storeId = 'store-1';
  faults: Faults = {};
  heartbeatMs = 50;
  /** What was asked, in order: "ws?protocol=1", "poll?protocol=1", "resume". */
  readonly asked: string[] = [];
  /** Requests that clients began, whether they came here or not. */
  requested = 0;
  #server: Server | null = null;
  #sockets = new WebSocketServer({ noServer: true });
  readonly #viewers = new Set<Viewer>();
  readonly #waiting = new Set<() => void>();
  #heart: ReturnType<typeof setInterval> | null = null;
  #port = 0;

  constructor(log: TestLog) {
    this.log = log;
  }

  get connections(): number {
    return this.#viewers.size + this.#waiting.size;
  }

  count(asked: string): number {
    return this.asked.filter((one) => one.startsWith(asked)).length;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => { this.#answer(request, response); });
    server.on('upgrade', (request: IncomingMessage, socket, head) => {
      this.#note('ws', request);
      if (this.faults.socketsBlocked === true) socket.destroy();
      else this.#sockets.handleUpgrade(request, socket, head, (opened) => { this.#open(opened, request); });
    });
    await new Promise<void>((listening) => server.listen(this.#port, '127.0.0.1', listening));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    this.#heart = setInterval(() => { this.#beat(); }, this.heartbeatMs);
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    if (this.#heart !== null) clearInterval(this.#heart);
    for (const viewer of this.#viewers) viewer.socket.terminate();
    const closed = new Promise((done) => server.close(done));
    server.closeAllConnections();
    await closed;
  }

  append(count: number): void {
    this.log.append(count);
    for (const viewer of this.#viewers) this.#push(viewer);
    for (const wake of [...this.#waiting]) wake();
  }

  /** Close every socket with a code. */
  closeSockets(code: number): void {
    for (const viewer of this.#viewers) viewer.socket.close(code);
  }

  /** Send every socket some bytes. */
  sendRaw(bytes: Buffer): void {
    for (const viewer of this.#viewers) viewer.socket.send(bytes);
  }

  access(): ServerAccess {
    return {
      socketUrl: (path, query) => `ws://127.0.0.1:${String(this.#port)}/${path}?${new URLSearchParams(query).toString()}`,
      openSocket: openNodeSocket,
      request: (path, { query = {}, ...init } = {}) => {
        this.requested += 1;
        return fetchFromNode(`http://127.0.0.1:${String(this.#port)}/${path}?${new URLSearchParams(query).toString()}`, init);
      },
    };
  }

  #note(what: string, request: IncomingMessage): URLSearchParams {
    const { search, searchParams } = new URL(request.url ?? '', 'http://localhost');
    this.asked.push(what + search);
    return searchParams;
  }

  #open(socket: Socket, request: IncomingMessage): void {
    const { searchParams: query } = new URL(request.url ?? '', 'http://localhost');
    const viewer: Viewer = { socket, epoch: query.get('epoch'), after: Number(query.get('after')) };
    this.#viewers.add(viewer);
    socket.on('close', () => this.#viewers.delete(viewer));
    socket.on('message', (data) => { this.#hear(viewer, JSON.parse((data as Buffer).toString()) as Json); });
    if (this.faults.protocols !== undefined) {
      socket.send(JSON.stringify({ type: 'error', error: 'none of those', protocols: this.faults.protocols }));
      socket.close(4505);
    } else if (this.faults.closeCode !== undefined) socket.close(this.faults.closeCode);
    else if (this.faults.socketsMute !== true) {
      if (this.faults.socketsNameless !== true) socket.send(JSON.stringify(this.#welcome()));
      this.#push(viewer);
    }
  }

  #hear(viewer: Viewer, message: Json): void {
    this.asked.push(String(message['type']));
    if (this.#isQuiet()) return;
    if (message['type'] === 'ping') viewer.socket.send(JSON.stringify({ type: 'pong', timestamp: Date.now() / 1000 }));
    if (message['type'] !== 'resume') return;
    Object.assign(viewer, { epoch: message['epoch'], after: message['after'] });
    this.#push(viewer);
  }

  #push(viewer: Viewer): void {
    const frame = this.log.frame(viewer.epoch, viewer.after);
    if (frame === null || this.#isQuiet()) return;
    Object.assign(viewer, { epoch: this.log.epoch, after: this.log.top });
    if (this.faults.loseFrame === true) this.faults.loseFrame = false;
    else if (this.faults.deflates === true) viewer.socket.send(deflateSync(JSON.stringify(frame)));
    else viewer.socket.send(JSON.stringify(frame));
  }

  #isQuiet(): boolean {
    return this.faults.socketsMute === true || this.faults.socketsSilent === true;
  }

  #beat(): void {
    if (this.#isQuiet()) return;
    for (const viewer of this.#viewers) viewer.socket.send(JSON.stringify(this.log.heartbeat()));
  }

  #welcome(): Json {
    const timestamp = Date.now() / 1000;
    return { type: 'welcome', protocol: this.faults.protocol ?? 1, storeId: this.storeId, heartbeatSeconds: this.heartbeatMs / 1000, timestamp };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const query = this.#note('poll', request);
    const wait = Number(query.get('wait'));
    if (this.faults.protocols !== undefined) {
      response.writeHead(422).end(JSON.stringify({ error: 'none of those', protocols: this.faults.protocols }));
    } else if (this.faults.pollStatus !== undefined) {
      response.writeHead(this.faults.pollStatus).end();
    } else if (wait > 0 && this.faults.longPollsCut === true) {
      response.destroy();
    } else if (wait > 0 && this.log.frame(query.get('epoch'), Number(query.get('after'))) === null) {
      this.#park(response, query, wait);
    } else {
      this.#reply(response, query);
    }
  }

  #park(response: ServerResponse, query: URLSearchParams, wait: number): void {
    const wake = (): void => {
      this.#waiting.delete(wake);
      clearTimeout(timer);
      if (!response.destroyed) this.#reply(response, query);
    };
    const timer = setTimeout(wake, wait * 1000);
    this.#waiting.add(wake);
    response.on('close', () => {
      this.#waiting.delete(wake);
      clearTimeout(timer);
    });
  }

  #reply(response: ServerResponse, query: URLSearchParams): void {
    const { storeId, log, faults } = this;
    const from = query.has('coarse') ? null : query.get('epoch');
    const found = faults.deleted === true ? null : log.frame(from, Number(query.get('after')));
    // A few letters more than it takes to show how fast the link is.
    const frame = found !== null && faults.coarse === true ? { ...found, coarse: query.has('limit'), padding: '.'.repeat(faults.brief === true ? 0 : 5_000) } : found;
    const deleted = faults.deleted === true ? { deleted: true } : {};
    const poll = { type: 'poll', protocol: faults.protocol ?? 1, sessionId: 's', storeId, frame, heartbeat: log.heartbeat(), ...deleted };
    response.end(JSON.stringify(poll));
  }
}

/** Open a WebSocket by a connection of its own, as browsers do: Node's would take one that a request has left open. */
export function openNodeSocket(url: string): WebSocket {
  return new NodeWebSocket(url) as unknown as WebSocket;
}

/** Fetch by Node's own client: that of happy-dom, where there is one, leaves aborted requests open. */
function fetchFromNode(url: string, init: RequestInit): Promise<Response> {
  return new Promise((resolve, reject) => {
    const request = get(url, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        resolve(new Response(Buffer.concat(chunks).toString(), { status: answer.statusCode ?? 500 }));
      });
    });
    request.on('error', reject);
    init.signal?.addEventListener('abort', () => request.destroy(new Error('aborted')));
  });
}

/** A kernel on the other side of a comm: pushes key frames when told to, deltas once subscribed. */
export class TestKernel implements CommChannel {
  readonly log: TestLog;
  readonly said: Json[] = [];
  readonly listeners = new Set<(message: unknown) => void>();
  #cursor: { epoch: string; after: number } | null = null;

  constructor(log: TestLog) {
    this.log = log;
  }

  get types(): unknown[] {
    return this.said.map((message) => message['type']);
  }

  send(message: Json): void {
    this.said.push(message);
    const subscribed = message['type'] === 'subscribe';
    this.#cursor = subscribed ? { epoch: String(message['epoch']), after: Number(message['after']) } : null;
    if (subscribed) queueMicrotask(() => { this.push(); });
  }

  listen(listener: (message: unknown) => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  tell(message: Json): void {
    for (const listener of this.listeners) listener(message);
  }

  /** Send what a subscriber has not got yet. */
  push(): void {
    const frame = this.#cursor === null ? null : this.log.frame(this.#cursor.epoch, this.#cursor.after);
    if (frame === null) return;
    this.#cursor = { epoch: this.log.epoch, after: this.log.top };
    this.tell(frame);
  }

  /** Send a key frame that nobody asked for. */
  pushKey(): void {
    const frame = this.log.frame(null, 0);
    if (frame !== null) this.tell(frame);
  }
}
