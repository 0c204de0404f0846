// Frames by HTTP polling: long polls where they come through, plain ones once a second where they don't. One adapter is one
// row of polls, from the first to a failure; when to come back is the lane's business.
import { DELETED, noCommonProtocol, UNREADABLE } from './failures';
import { parseText } from './messages';
import type { Poll } from './messages';
import { OFFER } from './protocol';
import type { AdapterContext, Failure, ServerAccess, TransportAdapter } from './transport';

/** What a slow link is asked for at most, and once in a while: rows in an answer. */
const FEW_ROWS = '100';
const MORE_ROWS = '1000';
/** An answer of more characters shows how fast the link is; below so many a millisecond it is slow. */
const TELLING_CHARS = 4_000;
const SLOW_CHARS_PER_MS = 200;

type Answer = { readonly poll: Poll } | { readonly failure: Failure };

export class HttpAdapter implements TransportAdapter {
  readonly #server: ServerAccess;
  readonly #context: AdapterContext;
  // Ends the pause to the next poll, or the time that an answer may take.
  #cancelTimer: (() => void) | null = null;
  #asking: AbortController | null = null;
  // The first poll is plain, so that it is answered at once; a long poll that broke is not tried again.
  #proven = false;
  #longPolls = true;
  // Nothing is known of the link before the first answer. What came in few points is asked for again once it is a good one.
  #slow = true;
  // On a slow link it is asked for once, some time after the last frame of few points: what comes then tells of the link, too.
  #finerAt: number;
  #finer = false;

  constructor(server: ServerAccess, context: AdapterContext) {
    this.#server = server;
    this.#context = context;
    this.#finerAt = context.clock.now() + context.settings.finerMs;
  }

  open(): void {
    void this.#poll();
  }

  /** Each poll goes on from the cursor anyway. */
  resume(): void {
    this.#context.cursor();
  }

  check(): void {
    this.close();
    this.#proven = false;
    void this.#poll();
  }

  close(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#asking?.abort();
    this.#asking = null;
  }

  async #poll(): Promise<void> {
    const { clock, settings } = this.#context;
    const asking = new AbortController();
    this.#asking = asking;
    const wait = this.#proven && this.#longPolls ? settings.longPollS : 0;
    const began = clock.now();
    this.#cancelTimer = clock.after(wait * 1000 + settings.answerTimeoutMs, () => { asking.abort(); });
    const answer = await this.#ask(wait, asking.signal);
    // Closed, or asked anew, in the meantime.
    if (this.#asking !== asking) return;
    this.#cancelTimer();
    this.#asking = null;
    const took = clock.now() - began;
    if ('poll' in answer) this.#deliver(answer.poll, took);
    else if (wait > 0 && answer.failure.kind === 'retry') this.#pollPlainly();
    else this.#context.onFailure(answer.failure);
  }

  /** Some proxies cut a request that waits. Whether the server is still there shows the next plain poll. */
  #pollPlainly(): void {
    this.#longPolls = false;
    void this.#poll();
  }

  #deliver(poll: Poll, took: number): void {
    const context = this.#context;
    const { pollBusyMs, pollIdleMs, heartbeatMs, longPollS, answerTimeoutMs, finerMs } = context.settings;
    this.#proven = true;
    const { protocol, storeId, heartbeat, frame } = poll;
    // Set before anybody is told: telling may close us.
    const spacing = frame === null ? pollIdleMs : pollBusyMs;
    this.#cancelTimer = context.clock.after(Math.max(0, spacing - took), () => { this.#next(); });
    const { timestamp } = heartbeat;
    // A poll may be quiet for as long as it waits.
    const heartbeatSeconds = Math.max(heartbeatMs / 1000, longPollS + answerTimeoutMs / 1000);
    context.onMessage({ type: 'welcome', protocol, storeId, heartbeatSeconds, timestamp });
    if (frame !== null) context.onMessage(frame);
    context.onMessage(heartbeat);
    if (frame?.key === true) this.#finerAt = this.#finer ? Infinity : context.clock.now() + finerMs;
    if (poll.deleted) this.#end(DELETED);
  }

  #end(failure: Failure): void {
    // Told of another store, for instance, we are closed by now.
    if (this.#cancelTimer === null) return;
    this.close();
    this.#context.onFailure(failure);
  }

  #next(): void {
    this.#cancelTimer = null;
    void this.#poll();
  }

  async #ask(wait: number, signal: AbortSignal): Promise<Answer> {
    const cursor = this.#context.cursor();
    const query: Record<string, string> = { protocol: OFFER };
    if (cursor !== null && cursor.epoch !== '') Object.assign(query, { epoch: cursor.epoch, after: String(cursor.offset) });
    if (wait > 0) query['wait'] = String(wait);
    query['brief'] = this.#context.settings.brief;
    this.#finer = this.#context.coarse() && (!this.#slow || this.#context.clock.now() >= this.#finerAt);
    if (this.#finer) query['coarse'] = '1';
    if (this.#slow) query['limit'] = this.#finer ? MORE_ROWS : FEW_ROWS;
    const path = `api/sessions/${encodeURIComponent(this.#context.sessionId)}/events`;
    try {
      const response = await this.#server.request(path, { query, signal, cache: 'no-store' });
      const { clock } = this.#context;
      const began = clock.now();
      const text = await response.text();
      if (text.length > TELLING_CHARS) this.#slow = text.length < SLOW_CHARS_PER_MS * (clock.now() - began);
      if (!response.ok) return { failure: failureOf(response.status, text) };
      const poll = parseText(text);
      if (poll?.type === 'poll') return { poll };
      return { failure: UNREADABLE };
    } catch {
      // Every way of not answering is the same to us: refused, unknown host, aborted, cut off.
      return { failure: { reason: 'the server can’t be reached', kind: 'retry' } };
    }
  }
}

function failureOf(status: number, body: string): Failure {
  const told = status === 422 ? parseText(`{"type":"error",${body.slice(1)}`) : null;
  if (told?.type === 'error' && told.protocols.length > 0) return noCommonProtocol(told.protocols, 'server');
  if (status === 404) return { reason: 'this server has no forge-widgets (404)', kind: 'seldom' };
  if (status === 401 || status === 403) return { reason: `the server doesn’t let us in (${String(status)})`, kind: 'seldom' };
  if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
    return { reason: `the server refused the request (${String(status)})`, kind: 'seldom' };
  }
  return { reason: `the server is in trouble (${String(status)})`, kind: 'retry' };
}
