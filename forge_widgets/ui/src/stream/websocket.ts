// Frames over a WebSocket, in brief, deflated or as text: one connection from opening to its end. Thin: it parses, and says
// why it ended; when to come back is the lane's business.
import { BriefReader, isBrief } from './brief';
import { DELETED, noCommonProtocol, UNREADABLE } from './failures';
import { canInflate, inflate } from './inflate';
import { isFrame, parseText } from './messages';
import type { ServerMessage } from './messages';
import { OFFER } from './protocol';
import type { AdapterContext, Failure, ServerAccess, TransportAdapter } from './transport';

const NORMAL = 1000;
const POLICY_VIOLATION = 1008;
const FIRST_FINAL = 4500;
const NO_COMMON_PROTOCOL = 4505;

export class WebSocketAdapter implements TransportAdapter {
  readonly #server: ServerAccess;
  readonly #context: AdapterContext;
  #socket: WebSocket | null = null;
  #opened = false;
  // What the server did not like, said before it closes.
  #complaint = '';
  #spoken: readonly number[] = [];
  readonly #brief = new BriefReader();
  // Deflated messages that are not read yet and those behind them: how many, and the end of their row.
  #late = 0;
  #row = Promise.resolve();

  constructor(server: ServerAccess, context: AdapterContext) {
    this.#server = server;
    this.#context = context;
  }

  open(): void {
    const cursor = this.#context.cursor();
    const from: Record<string, string> = cursor === null || cursor.epoch === '' ? {} : { epoch: cursor.epoch, after: String(cursor.offset) };
    const url = this.#server.socketUrl(`ws/${encodeURIComponent(this.#context.sessionId)}`, {
      protocol: OFFER,
      ...from,
      ...(this.#context.coarse() && { coarse: '1' }),
      ...(canInflate && { encoding: 'deflate' }),
      brief: this.#context.settings.brief,
    });
    let socket: WebSocket;
    try {
      socket = this.#server.openSocket?.(url) ?? new WebSocket(url);
    } catch (error) {
      // A browser throws where the page's own policy forbids sockets.
      this.#context.onFailure({ reason: `WebSocket can't be used here (${String(error)})`, kind: 'seldom' });
      return;
    }
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => { this.#opened = true; };
    socket.onmessage = (message: MessageEvent<string | ArrayBuffer>) => { this.#receive(message.data); };
    socket.onclose = (closed: CloseEvent) => { this.#end(this.#failureOf(closed.code)); };
    // The close that follows says more.
    socket.onerror = ignore;
  }

  resume(): void {
    const cursor = this.#context.cursor();
    this.#send({ type: 'resume', epoch: cursor?.epoch ?? '', after: cursor?.offset ?? 0, coarse: this.#context.coarse() });
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

  /** Messages are read in their order, however long one takes to inflate. */
  #receive(data: string | ArrayBuffer): void {
    const late = typeof data !== 'string' && !isBrief(data);
    if (!late && this.#late === 0) {
      this.#read(data);
      return;
    }
    const read = late ? inflate(data) : data;
    this.#late += 1;
    this.#row = this.#row.then(async () => {
      const message = await read;
      this.#late -= 1;
      // Closed in the meantime: whoever comes next asks from the cursor.
      if (this.#socket !== null) this.#read(message);
    }).catch(console.error); // one message that nobody can bear must not end the row
  }

  #read(data: string | ArrayBuffer | null): void {
    const message: ServerMessage | null = data instanceof ArrayBuffer ? this.#brief.read(data) : parseText(data);
    if (message?.type === 'shape') {
      this.#brief.shapes.set(message.id, message);
      return;
    }
    if (message?.type === 'error') {
      this.#complaint = message.error;
      this.#spoken = message.protocols;
    }
    if (message !== null) this.#context.onMessage(message);
    else if (typeof data !== 'string' || isFrame(data)) this.#end(UNREADABLE);
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
    if (code === NORMAL) return DELETED;
    if (code === NO_COMMON_PROTOCOL) return noCommonProtocol(this.#spoken, 'server');
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
