// What a page is given of a session: from the stream's view to the contract's words, sharing what did not change, so that
// React paints only what did. Pure. Called by the follower.
import { METRIC_DEFAULTS } from '../stream';
import type { Link, Metrics, SessionView } from '../stream';
import type { Nonfinite, ProgressConnection, ProgressMetrics, ProgressStatus } from './contract';

/** What is known of a session. The same object as long as nothing of it changes. */
export interface Progress {
  /** null before the first update. */
  readonly metrics: ProgressMetrics | null;
  readonly nonfinite: Nonfinite;
  readonly status: ProgressStatus;
  /** The text of the error that the training has ended with; null where it has not. */
  readonly error: string | null;
  readonly connection: ProgressConnection;
  /** False until something was heard of the session. */
  readonly loaded: boolean;
  /** The training went away without a word. */
  readonly lost: boolean;
}

/** What is known before anything is followed. */
export const NOTHING: Progress = {
  metrics: null,
  nonfinite: {},
  status: 'waiting',
  error: null,
  connection: { transport: 'idle', reason: '', since: null },
  loaded: false,
  lost: false,
};

/** Remembers what was made of the last view. */
export class ProgressTeller {
  #progress: Progress = NOTHING;
  #source: Metrics | null = null;

  /** Return what is known by a view, at a moment in milliseconds since the epoch. */
  tell(view: SessionView, now: number): Progress {
    const before = this.#progress;
    const connection = connectionOf(view, before.connection, now);
    // Nothing is recorded, or nothing of it is known yet: what was shown stays.
    const told = view.state.attempt === 0 ? before : this.#stateOf(view);
    const after: Progress = { ...told, connection, loaded: view.loaded };
    this.#progress = isSame(before, after) ? before : after;
    return this.#progress;
  }

  #stateOf({ state }: SessionView): Omit<Progress, 'connection' | 'loaded'> {
    const { status, error, lost } = state;
    return { ...this.#metricsOf(state.metrics), status, error: status === 'error' ? error : null, lost };
  }

  #metricsOf(source: Metrics): Pick<Progress, 'metrics' | 'nonfinite'> {
    const { metrics, nonfinite } = this.#progress;
    if (source === this.#source) return { metrics, nonfinite };
    this.#source = source;
    const values = [...METRIC_DEFAULTS, ...[...source].map(([name, [value]]) => [name, value] as const)];
    return { metrics: finiteOf(values) as ProgressMetrics, nonfinite: nonfiniteOf(values) };
  }
}

/** Return metrics as JSON has them: null where a number is not finite. */
export function finiteOf(values: Iterable<readonly [string, number]>): Readonly<Record<string, number | null>> {
  return Object.fromEntries([...values].map(([name, value]) => [name, Number.isFinite(value) ? value : null]));
}

function nonfiniteOf(values: readonly (readonly [string, number])[]): Nonfinite {
  // A value of the user's takes the place of a default, so only the last one of a name counts.
  const last = [...new Map(values)].filter(([, value]) => !Number.isFinite(value));
  return Object.fromEntries(last.map(([name, value]) => [name, String(value) as 'NaN' | 'Infinity' | '-Infinity']));
}

function connectionOf(view: SessionView, before: ProgressConnection, now: number): ProgressConnection {
  const transport = transportOf(view.link, view.deleted);
  const { reason } = view.link;
  if (transport === before.transport && reason === before.reason) return before;
  const since = transport === before.transport ? before.since : (view.link.offlineSince ?? now);
  return { transport, reason, since };
}

function transportOf({ transport, offlineSince }: Link, deleted: boolean): ProgressConnection['transport'] {
  if (deleted) return 'deleted';
  // There is no kernel to speak to in such a page.
  if (transport === 'websocket' || transport === 'http') return transport;
  return offlineSince === null ? 'connecting' : 'offline';
}

function isSame(one: Progress, other: Progress): boolean {
  return (Object.keys(one) as (keyof Progress)[]).every((name) => one[name] === other[name]);
}
