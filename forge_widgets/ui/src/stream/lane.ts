// One way to the server over the life of a stream: opens connections, watches that they live, and comes back with full-jitter
// back-off. Owns its adapter and its timers; which lane is wanted when is the stream's business.
import type { ServerMessage } from './messages';
import { Throttle } from './throttle';
import type { AdapterContext, Demand, Failure, Lane, LaneContext, Transport, TransportAdapter } from './transport';

export interface ServerLaneOptions {
  readonly transport: Transport;
  /** Failures in a row after which this lane is given up. */
  readonly failures: number;
  /** A connection that lasted this long was a good one: its end is no failure. */
  readonly stableMs: number;
  readonly connect: (context: AdapterContext) => TransportAdapter;
  readonly context: LaneContext;
}

export class ServerLane implements Lane {
  readonly transport: Transport;
  readonly #options: ServerLaneOptions;
  readonly #context: LaneContext;
  readonly #resuming: Throttle;
  #adapter: TransportAdapter | null = null;
  #wanted = false;
  #failures = 0;
  // Set by a failure that coming back soon can't mend, until a welcome.
  #barred: 'seldom' | 'refused' | null = null;
  #lastReason = '';
  #welcomedAt: number | null = null;
  #heartbeatMs: number;
  #cancelRetry: (() => void) | null = null;
  #cancelDeadline: (() => void) | null = null;

  constructor(options: ServerLaneOptions) {
    const { context } = options;
    this.#options = options;
    this.#context = context;
    this.transport = options.transport;
    this.#heartbeatMs = context.settings.heartbeatMs;
    this.#resuming = new Throttle(context.clock, () => context.settings.resumeSpacingMs, () => { this.#adapter?.resume(); });
  }

  get reason(): string {
    return this.#lastReason;
  }

  get givenUp(): boolean {
    return this.#barred !== null || this.#failures >= this.#options.failures;
  }

  demand(demand: Demand): void {
    const wanted = demand === 'on';
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    // A better way is open: what kept this one is over, and it is not known to fail until it has been tried again.
    if (demand === 'off') this.#failures = 0;
    if (!wanted) this.#disconnect();
    else if (this.#barred === null) this.#open();
    else this.#retryAfter(this.#pauseMs());
  }

  resume(): void {
    this.#resuming.request();
  }

  settled(): void {
    this.#resuming.cancel();
  }

  check(): void {
    if (this.#adapter === null) return;
    this.#expect(this.#context.settings.checkTimeoutMs, 'the connection had gone stale');
    this.#adapter.check();
  }

  reject(failure: Failure): void {
    this.#adapter?.close();
    this.#fail(failure);
  }

  wake(): void {
    if (!this.#wanted || this.#barred === 'refused') return;
    if (this.#adapter === null) this.#open();
    else if (this.#welcomedAt !== null) this.check();
  }

  close(): void {
    this.#wanted = false;
    this.#disconnect();
  }

  #open(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    const { sessionId, clock, settings } = this.#context;
    const adapter = this.#options.connect({
      sessionId,
      clock,
      settings,
      cursor: () => this.#context.cursor(),
      coarse: () => this.#context.coarse(),
      onMessage: (message) => {
        if (this.#adapter === adapter) this.#hear(message);
      },
      onFailure: (failure) => {
        if (this.#adapter === adapter) this.#fail(failure);
      },
    });
    this.#adapter = adapter;
    this.#expect(settings.welcomeTimeoutMs, 'the server gave no answer', this.#options.failures);
    adapter.open();
  }

  #disconnect(): void {
    this.#cancelRetry?.();
    this.#cancelDeadline?.();
    this.#cancelRetry = this.#cancelDeadline = null;
    this.#resuming.cancel();
    this.#adapter?.close();
    this.#adapter = null;
    this.#welcomedAt = null;
  }

  #hear(message: ServerMessage): void {
    if (message.type === 'welcome') {
      this.#welcomedAt ??= this.#context.clock.now();
      this.#heartbeatMs = message.heartbeatSeconds * 1000;
    }
    // Before the welcome nobody knows whose words these are.
    if (this.#welcomedAt === null) return;
    this.#expectHeartbeats();
    const adapter = this.#adapter;
    this.#context.onMessage(this, message);
    // Still there: the stream has accepted it.
    if (adapter !== null && this.#adapter === adapter) this.#note();
  }

  /** Forget old failures once a connection is a good one. */
  #note(): void {
    this.#barred = null;
    if (this.#lasted()) this.#failures = 0;
  }

  #lasted(): boolean {
    return this.#welcomedAt !== null && this.#context.clock.now() - this.#welcomedAt >= this.#options.stableMs;
  }

  /**
   * Ask for a sign of life after a long silence, and fail where none comes. A page that slept finds its deadline passed before
   * it has read what came meanwhile: it reads while it waits for the answer, and keeps a link that was well all along.
   */
  #expectHeartbeats(): void {
    const { clock, settings } = this.#context;
    const silentMs = settings.missedHeartbeats * this.#heartbeatMs;
    const askedAfterMs = Math.max(silentMs - settings.checkTimeoutMs, silentMs / 2);
    this.#cancelDeadline?.();
    this.#cancelDeadline = clock.after(askedAfterMs, () => {
      this.#expect(settings.checkTimeoutMs, 'the connection went silent', 1, askedAfterMs + settings.checkTimeoutMs);
      this.#adapter?.check();
    });
  }

  /** Fail unless something is heard in time; `failures` is how many that counts for, `silentMs` how long it was silent by then. */
  #expect(timeoutMs: number, reason: string, failures = 1, silentMs = timeoutMs): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = this.#context.clock.after(timeoutMs, () => {
      this.#adapter?.close();
      this.#fail({ reason: `${reason} for ${String(Math.round(silentMs / 1000))} s`, kind: 'retry' }, failures);
    });
  }

  #fail(failure: Failure, count = 1): void {
    const lasted = this.#lasted();
    this.#disconnect();
    // With a limit of one, the end of a good connection calls the next lane up as well.
    this.#failures = lasted && this.#options.failures > 1 ? 0 : this.#failures + count;
    this.#lastReason = failure.reason;
    this.#barred = failure.kind === 'seldom' || failure.kind === 'refused' ? failure.kind : null;
    if (this.#wanted && failure.kind !== 'deleted') this.#retryAfter(this.#pauseMs());
    this.#context.onFailure(this, failure);
  }

  #retryAfter(pauseMs: number): void {
    if (this.#barred === 'refused') return;
    this.#cancelRetry?.();
    this.#cancelRetry = this.#context.clock.after(pauseMs, () => { this.#open(); });
  }

  #pauseMs(): number {
    const { random, settings } = this.#context;
    // Other stores and closed doors are looked at again at about the same distance, others with full jitter.
    if (this.#barred !== null) return settings.seldomMs * (0.75 + 0.5 * random());
    const doubled = Math.min(Math.max(this.#failures - 1, 0), 30);
    return random() * Math.min(settings.backoffCapMs, settings.backoffBaseMs * 2 ** doubled);
  }
}
