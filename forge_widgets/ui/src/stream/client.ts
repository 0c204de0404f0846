// A session as it is followed from a browser: walks down from WebSocket to HTTP polling to the kernel and up again, and keeps
// one view of it that never goes back. Owns its lanes, timers and listeners from start() to close(). Called by every view.
import { systemClock } from './clock';
import type { Clock } from './clock';
import { CommLane } from './comm';
import { CursorClient } from './cursor';
import { DELETED, noCommonProtocol } from './failures';
import { HttpAdapter } from './http';
import { ServerLane } from './lane';
import type { Frame, Heartbeat, ServerMessage, Welcome } from './messages';
import { isSpoken } from './protocol';
import { DEFAULT_SETTINGS } from './settings';
import type { StreamSettings } from './settings';
import { Throttle } from './throttle';
import type { CommChannel, Demand, Failure, Lane, LaneContext, Link, ServerAccess } from './transport';
import type { SessionView } from './view';
import { isPageHidden, onPageWakes } from './wakeup';
import { WebSocketAdapter } from './websocket';

export interface SessionStreamOptions {
  readonly sessionId: string;
  /** The store that the session is in; a server that keeps another is not used. null: any. */
  readonly storeId?: string | null;
  readonly server?: ServerAccess | null;
  readonly comm?: CommChannel | null;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly settings?: Partial<StreamSettings>;
}

const OTHER_STORE: Failure = { reason: 'this server keeps another store', kind: 'seldom' };
const NO_SERVER = 'no server with forge-widgets is known here';

export class SessionStream {
  readonly #options: SessionStreamOptions;
  readonly #clock: Clock;
  readonly #settings: StreamSettings;
  readonly #client = new CursorClient();
  readonly #listeners = new Set<() => void>();
  readonly #followers = new Set<(frame: Frame) => void>();
  readonly #notifying: Throttle;
  #lanes: readonly Lane[] = [];
  #stopWaking: (() => void) | null = null;
  // The lane that delivers, and since when there is none.
  #current: Lane | null = null;
  #lostAt: number;
  #heartbeat: Heartbeat | null = null;
  #clockOffset = 0;
  #loaded = false;
  #deleted = false;
  #shown: SessionView;

  constructor(options: SessionStreamOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#settings = { ...DEFAULT_SETTINGS, ...options.settings };
    this.#lostAt = this.#clock.now();
    const spacing = (): number => (isPageHidden() ? this.#settings.notifyHiddenMs : this.#settings.notifyMs);
    this.#notifying = new Throttle(this.#clock, spacing, () => { this.#publish(); });
    this.#shown = this.#snapshot(0);
  }

  /** What is known now; the same object until listeners are told of the next. */
  get view(): SessionView {
    return this.#shown;
  }

  /** Call `listener` after each new view, at most 20 times a second; the function returned ends that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Call `follower` with each frame that moved the view, at once: listeners are told of the view later. The function returned ends that. */
  onApplied(follower: (frame: Frame) => void): () => void {
    this.#followers.add(follower);
    return () => {
      this.#followers.delete(follower);
    };
  }

  /** Begin to follow the session. After close() it goes on from where it was. */
  start(): void {
    if (this.#stopWaking !== null) return;
    this.#lostAt = this.#clock.now();
    this.#stopWaking = onPageWakes(() => { this.#wake(); });
    this.#lanes = this.#makeLanes();
    this.#arrange();
    this.#notifying.request();
  }

  /** End every timer, socket, request and listener on the page. Who has subscribed stays so, for another start(). */
  close(): void {
    this.#stopWaking?.();
    this.#stopWaking = null;
    for (const lane of this.#lanes) lane.close();
    this.#lanes = [];
    this.#current = null;
    this.#notifying.cancel();
  }

  #makeLanes(): Lane[] {
    const { server = null, comm = null, sessionId, random = Math.random } = this.#options;
    const context: LaneContext = {
      sessionId,
      random,
      clock: this.#clock,
      settings: this.#settings,
      cursor: () => this.#client.cursor,
      coarse: () => this.#client.coarse,
      onMessage: (lane, message) => { this.#receive(lane, message); },
      onFailure: (lane, failure) => { this.#lose(lane, failure); },
    };
    const lanes: Lane[] = [];
    if (server !== null) {
      const { socketFailures: failures, stableMs } = this.#settings;
      const socket = { transport: 'websocket', failures, stableMs, context } as const;
      lanes.push(new ServerLane({ ...socket, connect: (adapter) => new WebSocketAdapter(server, adapter) }));
      const polling = { transport: 'http', failures: 1, stableMs: 0, context } as const;
      lanes.push(new ServerLane({ ...polling, connect: (adapter) => new HttpAdapter(server, adapter) }));
    }
    if (comm !== null) lanes.push(new CommLane(comm, context));
    return lanes;
  }

  /** Tell each lane what is wanted of it: the one that delivers, and the better ones in their order. */
  #arrange(): void {
    const reached = this.#current === null ? this.#lanes.length : this.#lanes.indexOf(this.#current);
    this.#lanes.forEach((lane, index) => { lane.demand(this.#demandOn(lane, index, reached)); });
  }

  #demandOn(lane: Lane, index: number, reached: number): Demand {
    if (this.#deleted || index > reached) return 'off';
    if (this.#lanes.slice(0, index).every((better) => better.givenUp)) return 'on';
    // A kernel that pushes unasked is left at that while the server is still being tried.
    return lane === this.#current && lane.transport !== 'comm' ? 'on' : 'idle';
  }

  #receive(lane: Lane, message: ServerMessage): void {
    switch (message.type) {
      case 'welcome':
        this.#greet(lane, message);
        return;
      case 'frame':
        this.#takeFrame(lane, message);
        return;
      case 'heartbeat':
        this.#beat(lane, message);
        return;
      case 'pong':
        this.#promote(lane);
        return;
      default:
        return;
    }
  }

  #greet(lane: Lane, welcome: Welcome): void {
    const { storeId = null } = this.#options;
    const side = lane.transport === 'comm' ? 'kernel' : 'server';
    if (!isSpoken(welcome.protocol)) {
      lane.reject(noCommonProtocol([welcome.protocol], side));
      return;
    }
    if (side === 'server' && storeId !== null && welcome.storeId !== storeId) {
      this.#turnAway(OTHER_STORE);
      return;
    }
    this.#clockOffset = welcome.timestamp - this.#clock.now() / 1000;
    if (this.#current === null) this.#promote(lane);
    // Make before break: it takes over once something has come through it.
    else if (this.#current !== lane) lane.check();
  }

  /** Both ways to the server lead to the same store. */
  #turnAway(failure: Failure): void {
    // The better one last: its failure calls the worse one up, which has to know by then.
    for (const lane of this.#lanes.toReversed()) if (lane.transport !== 'comm') lane.reject(failure);
  }

  #takeFrame(lane: Lane, frame: Frame): void {
    const outcome = this.#client.take(frame);
    this.#promote(lane);
    if (outcome === 'hole') {
      lane.resume();
      return;
    }
    lane.settled();
    if (outcome === 'applied') for (const follower of this.#followers) follower(frame);
    if (outcome === 'applied' || !this.#loaded) {
      this.#loaded = true;
      this.#notifying.request();
    }
  }

  #beat(lane: Lane, heartbeat: Heartbeat): void {
    this.#promote(lane);
    if (lane !== this.#current) return;
    const before = this.#heartbeat;
    this.#heartbeat = heartbeat;
    this.#clockOffset = heartbeat.timestamp - this.#clock.now() / 1000;
    // What was there a whole heartbeat ago and has not come got lost on the way, and nothing came after it to show the hole.
    const { cursor } = this.#client;
    if (before !== null && before.epoch === heartbeat.epoch && isBehind(cursor, before)) lane.resume();
    if (before?.unsaved !== heartbeat.unsaved || before.reason !== heartbeat.reason) this.#notifying.request();
  }

  /** Let a lane deliver, if it is better than the one that does. */
  #promote(lane: Lane): void {
    if (this.#current !== null && this.#lanes.indexOf(lane) >= this.#lanes.indexOf(this.#current)) return;
    const better = this.#lanes.slice(0, this.#lanes.indexOf(lane));
    const cameBack = lane.givenUp;
    this.#current = lane;
    this.#arrange();
    // Where a worse way to the server is open again after an outage, a better one may be, too.
    if (cameBack) for (const other of better) other.wake();
    this.#notifying.request();
  }

  #lose(lane: Lane, failure: Failure): void {
    if (failure.kind === 'deleted') this.#deleted = true;
    if (lane === this.#current || this.#deleted) {
      this.#current = null;
      this.#lostAt = this.#clock.now();
    }
    this.#arrange();
    this.#notifying.request();
  }

  #wake(): void {
    if (!isPageHidden()) this.#notifying.flush();
    for (const lane of this.#lanes) lane.wake();
  }

  #publish(): void {
    this.#shown = this.#snapshot(this.#shown.version + 1);
    for (const listener of [...this.#listeners]) listener();
  }

  #snapshot(version: number): SessionView {
    return {
      sessionId: this.#options.sessionId,
      epoch: this.#client.cursor?.epoch ?? '',
      state: this.#client.state,
      series: this.#client.series,
      coarse: this.#client.coarse,
      version,
      link: this.#link(),
      unsaved: this.#heartbeat?.unsaved ?? 0,
      unsavedReason: this.#heartbeat?.reason ?? '',
      gap: this.#client.gap,
      trimmed: this.#client.trimmed,
      loaded: this.#loaded,
      deleted: this.#deleted,
      clockOffset: this.#clockOffset,
    };
  }

  #link(): Link {
    if (this.#deleted) return { transport: null, reason: DELETED.reason, offlineSince: this.#lostAt };
    const reasons = this.#lanes.map((lane) => lane.reason);
    const current = this.#current;
    if (current !== null) {
      const better = reasons.slice(0, this.#lanes.indexOf(current));
      const alone = current.transport === 'comm' && better.length === 0 ? NO_SERVER : '';
      return { transport: current.transport, reason: lastOf(better) ?? alone, offlineSince: null };
    }
    const offline = this.#stopWaking !== null && this.#lanes.every((lane) => lane.givenUp);
    // While ways are still being tried nobody knows yet what keeps them: a server that is away looks like a blocked socket.
    if (!offline) return { transport: null, reason: '', offlineSince: null };
    return { transport: null, reason: lastOf(reasons) ?? NO_SERVER, offlineSince: this.#lostAt };
  }
}

function isBehind(cursor: CursorClient['cursor'], heartbeat: Heartbeat): boolean {
  return heartbeat.top > 0 && (cursor?.epoch !== heartbeat.epoch || cursor.offset < heartbeat.top);
}

function lastOf(reasons: readonly string[]): string | undefined {
  return reasons.filter((reason) => reason !== '').at(-1);
}
