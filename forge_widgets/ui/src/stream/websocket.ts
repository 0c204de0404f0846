// Frames over a WebSocket: one connection from opening to its end. Thin: it parses, and says why it ended; when to come
// back is the lane's business.
import { isFrame, parseText, PROTOCOL } from './messages';
import type { AdapterContext, Failure, ServerAccess, TransportAdapter } from './transport';

const NORMAL = 1000;
const POLICY_VIOLATION = 1008;
const FIRST_FINAL = 4500;

export class WebSocketAdapter implements TransportAdapter {
  readonly #server: ServerAccess;
  readonly #context: AdapterContext;
  #socket: WebSocket | null = null;
  #opened = false;
  // What the server did not like, said before it closes.
  #complaint = '';

  constructor(server: ServerAccess, context: AdapterContext) {
    this.#server = server;
    this.#context = context;
  }

  open(): void {
    const cursor = this.#context.cursor();
    const from: Record<string, string> = cursor === null || cursor.epoch === '' ? {} : { epoch: cursor.epoch, after: String(cursor.offset) };
    const url = this.#server.socketUrl(`ws/${encodeURIComponent(this.#context.sessionId)}`, { protocol: String(PROTOCOL), ...from });
    let socket: WebSocket;
    try {
      socket = this.#server.openSocket?.(url) ?? new WebSocket(url);
    } catch (error) {
      // A browser throws where the page's own policy forbids sockets.
      this.#context.onFailure({ reason: `WebSocket can't be used here (${String(error)})`, kind: 'seldom' });
      return;
    }
    this.#socket = socket;
    socket.onopen = () => { this.#opened = true; };
    socket.onmessage = (message: MessageEvent<unknown>) => { this.#receive(message.data); };
    socket.onclose = (closed: CloseEvent) => { this.#end(this.#failureOf(closed.code)); };
    // The close that follows says more.
    socket.onerror = ignore;
  }

  resume(): void {
    const cursor = this.#context.cursor();
    this.#send({ type: 'resume', epoch: cursor?.epoch ?? '', after: cursor?.offset ?? 0 });
  }

  check(): void {
    this.#send({ type: 'ping' });
  }

  close(): void {
    const socket = this.#socket;
    if (socket === null) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #receive(data: unknown): void {
    const message = parseText(data);
    if (message?.type === 'error') this.#complaint = message.error;
    if (message !== null) this.#context.onMessage(message);
    else if (isFrame(data)) this.#end({ reason: 'the server sent what this version can’t read', kind: 'seldom' });
  }

  #send(message: Record<string, unknown>): void {
    // A socket that is closing says so by itself.
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  #end(failure: Failure): void {
    if (this.#socket === null) return;
    this.close();
    this.#context.onFailure(failure);
  }

  #failureOf(code: number): Failure {
    if (code === NORMAL) return { reason: 'this session was deleted', kind: 'deleted' };
    if (code === POLICY_VIOLATION || code >= FIRST_FINAL) {
      const why = this.#complaint === '' ? String(code) : this.#complaint;
      return { reason: `the server refused the WebSocket (${why})`, kind: 'refused' };
    }
    return { reason: this.#opened ? 'the WebSocket broke off' : 'WebSocket is blocked here', kind: 'retry' };
  }
}

function ignore(): void {
  // Nothing to do.
}
