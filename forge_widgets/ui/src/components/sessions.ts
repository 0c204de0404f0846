// The list of a server's sessions, asked for once a second while somebody looks at it. Owns its timer and request;
// `stop` ends both. Made by hosts (panel, page), read by SessionList.
import type { ServerAccess } from '../stream';

/** What a list shows of a session. */
export interface SessionSummary {
  readonly sessionId: string;
  readonly status: string;
  /** Its training went away without a word. */
  readonly lost: boolean;
  /** How it stands, in one word: its status, or what is wrong with one that runs. */
  readonly standing: string;
  readonly error: string;
  /** Seconds since the epoch; 0 where unknown. */
  readonly updatedAt: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** The names of the metrics that somebody recorded; the others are the contract's defaults. */
  readonly recorded: ReadonlySet<string>;
  /** How much of all steps is done, 0 to 1; null where no total is known. */
  readonly progress: number | null;
  readonly secondsLeft: number | null;
  /** Its loss as this list saw it come, oldest first, at most SPARK_VALUES. */
  readonly losses: readonly number[];
}

/** What is known of a server's sessions. */
export interface SessionsView {
  readonly sessions: readonly SessionSummary[];
  /** False until the server answered for the first time. */
  readonly loaded: boolean;
  /** Why there is no newer list; "" while all is well. */
  readonly problem: string;
  /** Since when, in milliseconds since the epoch by the local clock. */
  readonly problemSince: number;
}

const SPARK_VALUES = 40;
const EVERY_MS = 1000;
const PATIENCE_MS = 10_000;

/** Follows the list of sessions of one server. */
export class SessionsPoll {
  readonly #server: ServerAccess;
  readonly #listeners = new Set<() => void>();
  #view: SessionsView = { sessions: [], loaded: false, problem: '', problemSince: 0 };
  #text = '';
  #timer: ReturnType<typeof setTimeout> | null = null;
  #asking: AbortController | null = null;

  constructor(server: ServerAccess) {
    this.#server = server;
  }

  /** Call `listener` whenever the view changed; the returned function ends that. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Return what is known now; the same object until something changes. */
  readonly view = (): SessionsView => this.#view;

  /** Ask now and then every second. Does nothing while already asking. */
  start(): void {
    if (this.#asking !== null || this.#timer !== null) return;
    void this.#ask();
  }

  /** Stop asking; `start` goes on. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#asking?.abort();
    this.#asking = null;
  }

  async #ask(): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    const patience = setTimeout(() => {
      asking.abort(new Error('no answer within 10 s'));
    }, PATIENCE_MS);
    try {
      const response = await this.#server.request('api/sessions', { signal: asking.signal });
      if (!response.ok) throw new Error(answerWords(response.status));
      this.#take(await response.text());
    } catch (error) {
      // A stopped list has nobody to tell; anything else is said and tried again.
      if (this.#asking === asking) this.#fail(reasonOf(error));
    } finally {
      clearTimeout(patience);
    }
    if (this.#asking !== asking) return;
    this.#asking = null;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#ask();
    }, EVERY_MS);
  }

  #take(text: string): void {
    if (text === this.#text && this.#view.problem === '') return;
    this.#text = text;
    const losses = new Map(this.#view.sessions.map((session) => [session.sessionId, session.losses]));
    const sessions = parseSessions(JSON.parse(text)).map((session) => withLosses(session, losses.get(session.sessionId)));
    this.#say({ sessions, loaded: true, problem: '', problemSince: 0 });
  }

  #fail(problem: string): void {
    const known = this.#view;
    if (problem !== known.problem) this.#say({ ...known, problem, problemSince: known.problemSince || Date.now() });
  }

  #say(view: SessionsView): void {
    this.#view = view;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Read the answer of `GET api/sessions`; what is not a session in it is passed over. */
export function parseSessions(answer: unknown): SessionSummary[] {
  if (!isRecord(answer) || !Array.isArray(answer['sessions'])) return [];
  return answer['sessions'].filter(isRecord).flatMap((row) => {
    const sessionId = row['sessionId'];
    return typeof sessionId === 'string' ? [parseSession(sessionId, row)] : [];
  });
}

function parseSession(sessionId: string, row: Readonly<Record<string, unknown>>): SessionSummary {
  const status = typeof row['status'] === 'string' ? row['status'] : 'waiting';
  const updatedAt = Date.parse(String(row['lastUpdate'])) / 1000;
  return {
    sessionId,
    status,
    lost: row['lost'] === true,
    standing: typeof row['standing'] === 'string' ? row['standing'] : status,
    error: typeof row['error'] === 'string' ? row['error'] : '',
    updatedAt: Number.isFinite(updatedAt) ? updatedAt : 0,
    metrics: isRecord(row['metrics']) ? numbersOf(row['metrics']) : {},
    recorded: new Set(Array.isArray(row['recorded']) ? row['recorded'].map(String) : []),
    progress: typeof row['progress'] === 'number' ? row['progress'] : null,
    secondsLeft: typeof row['secondsLeft'] === 'number' ? row['secondsLeft'] : null,
    losses: [],
  };
}

function withLosses(session: SessionSummary, before: readonly number[] = []): SessionSummary {
  const loss = session.recorded.has('loss') ? session.metrics['loss'] : undefined;
  if (loss === undefined || loss === before.at(-1)) return { ...session, losses: before };
  return { ...session, losses: [...before.slice(1 - SPARK_VALUES), loss] };
}

function numbersOf(metrics: Readonly<Record<string, unknown>>): Record<string, number> {
  // A metric that is not finite is null on the wire.
  const pairs = Object.entries(metrics).map(([name, value]) => [name, typeof value === 'number' ? value : NaN] as const);
  return Object.fromEntries(pairs);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function answerWords(status: number): string {
  if (status === 401 || status === 403) return `the server doesn’t let us in (${status}): open the address that it printed`;
  return `the server answered ${status}`;
}

function reasonOf(error: unknown): string {
  // What fetch throws where nothing answers, in each browser's own words.
  if (error instanceof TypeError) return 'the server can’t be reached';
  return error instanceof Error ? error.message : String(error);
}
