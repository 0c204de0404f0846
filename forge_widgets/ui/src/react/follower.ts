// The streams of a page: one for each session and place that something on it follows, however many hooks do. A stream is made
// for the first of them and closed after the last. Called by the hooks.
import { serverAccess } from '../components/access';
import { SessionStream } from '../stream';
import { failingOf, Happenings, type Happening } from './happenings';
import { checkSessionId, placeOf } from './place';
import { NOTHING, ProgressTeller, type Progress } from './progress';

/** What is followed. Those of one key share a stream. */
export interface Target {
  readonly key: string;
  readonly sessionId: string;
  readonly websocketUrl: string;
  readonly token: string;
  readonly pollingMs: number;
}

export interface FollowListener {
  /** Told of each lifecycle event, and then of what they led to. */
  onHappening?(happening: Happening): void;
  onProgress(progress: Progress): void;
}

/** The session of a target as it is followed now. */
class Followed {
  readonly listeners = new Set<FollowListener>();
  progress: Progress = NOTHING;
  readonly #stream: SessionStream;
  readonly #happenings: Happenings;
  readonly #teller = new ProgressTeller();
  readonly #sessionId: string;

  /** Throws an Error where the target can't be followed. */
  constructor({ sessionId, websocketUrl, token, pollingMs }: Target) {
    checkSessionId(sessionId);
    this.#sessionId = sessionId;
    this.#happenings = new Happenings(sessionId);
    this.#stream = new SessionStream({
      sessionId,
      server: serverAccess(placeOf(websocketUrl, token, document.baseURI)),
      settings: { pollIdleMs: pollingMs, pollBusyMs: pollingMs },
    });
    this.#stream.onApplied((frame) => { this.#happenings.take(frame); });
    this.#stream.subscribe(() => { this.#tell(); });
  }

  get failing(): Happening | null {
    return failingOf(this.#stream.view.state, this.#sessionId);
  }

  start(): void {
    this.#stream.start();
  }

  close(): void {
    this.#stream.close();
  }

  #tell(): void {
    const before = this.progress;
    this.progress = this.#teller.tell(this.#stream.view, Date.now());
    const happenings = this.#happenings.drain();
    for (const listener of [...this.listeners]) {
      for (const happening of happenings) listener.onHappening?.(happening);
      if (this.progress !== before) listener.onProgress(this.progress);
    }
  }
}

// State of the page, not of a module's user: hooks that know nothing of each other find each other's stream here. It holds
// only what is followed now.
const followed = new Map<string, Followed>();

/** What was said of targets that can't be followed, so that it is the same object each time. */
const refused = new WeakMap<Target, Progress>();

/** Return what is known of a target now; the same object until listeners are told of the next. */
export function known(target: Target | null): Progress {
  if (target === null) return NOTHING;
  return followed.get(target.key)?.progress ?? refused.get(target) ?? NOTHING;
}

/** Return the error that a target stands at; null where there is none, or it is not followed. */
export function failing(target: Target): Happening | null {
  return followed.get(target.key)?.failing ?? null;
}

/** Follow a target; the function returned ends that. What can't be followed is told as offline, with the reason. */
export function follow(target: Target, listener: FollowListener): () => void {
  const session = followed.get(target.key) ?? begin(target);
  if (session === null) {
    listener.onProgress(known(target));
    return () => undefined;
  }
  session.listeners.add(listener);
  session.start();
  return () => {
    session.listeners.delete(listener);
    // Who leaves and comes back at once (StrictMode, a component that moves) finds the stream as it was.
    queueMicrotask(() => { endUnused(target.key, session); });
  };
}

function begin(target: Target): Followed | null {
  try {
    const session = new Followed(target);
    followed.set(target.key, session);
    return session;
  } catch (error) {
    if (!refused.has(target)) {
      const reason = error instanceof Error ? error.message : String(error);
      console.error(`forge-widgets: ${reason}.`);
      refused.set(target, { ...NOTHING, connection: { transport: 'offline', reason, since: Date.now() } });
    }
    return null;
  }
}

function endUnused(key: string, session: Followed): void {
  if (session.listeners.size > 0) return;
  session.close();
  if (followed.get(key) === session) followed.delete(key);
}
