// The fold: from a log's records to what is shown of it, the same as forge_widgets/core/state.py
// (tests/vectors/fold.json holds the two together). Pure: a state is never changed, the next one shares what stayed.
// Called by the cursor client; the components read states.
import { METRIC_DEFAULTS } from './metrics';
import { foldModels, foldModelLosses } from './models';
import { overallSteps, paceAfterRows, withPace } from './pace';
import { isRows, rowCount } from './records';
import type { LogRecord, Rows, Status, TrainingEvent } from './records';

/** Who said something and when: [timestamp, producer, sequence]. The greatest stamp wins. */
export type Stamp = readonly [timestamp: number, producer: string, sequence: number];

/** The newest value of a metric and who said it when. */
export type Metric = readonly [value: number, stamp: Stamp];

export type Metrics = ReadonlyMap<string, Metric>;

/** A phase that was completed. */
export interface Phase {
  readonly name: string;
  /** Seconds since the epoch. */
  readonly completedAt: number;
}

/** One of the models that a training trains. */
export interface Model {
  /** From 1. */
  readonly number: number;
  /** Its newest loss; NaN where it was not a number, null before the first. */
  readonly loss: number | null;
  readonly completed: boolean;
}

/** How far a training was at a moment: steps of all models so far. */
export type Pace = readonly [timestamp: number, steps: number];

/** The fold of one attempt's records. Times are seconds since the epoch, 0 where there is none. */
export interface State {
  readonly attempt: number;
  readonly status: Status;
  readonly statusStamp: Stamp;
  /** The metrics that were recorded; `metricValue` adds the contract's defaults. */
  readonly metrics: Metrics;
  readonly message: string;
  /** Text of the last training_error, "" where none or where it is over. */
  readonly error: string;
  /** True from a connection_lost to the next record of a producer. */
  readonly lost: boolean;
  readonly startedAt: number;
  readonly updatedAt: number;
  /** Step rows recorded, and rows that a producer had to drop. */
  readonly rows: number;
  readonly thinned: number;
  readonly steppedAt: number;
  readonly phases: readonly Phase[];
  readonly models: readonly Model[];
  readonly pace: readonly Pace[];
}

export const MAX_PHASES = 100;

const EMPTY: State = {
  attempt: 0,
  status: 'waiting',
  statusStamp: [0, '', 0],
  metrics: new Map(),
  message: '',
  error: '',
  lost: false,
  startedAt: 0,
  updatedAt: 0,
  rows: 0,
  thinned: 0,
  steppedAt: 0,
  phases: [],
  models: [],
  pace: [],
};

/** Return the state of a log without records. */
export function emptyState(): State {
  return EMPTY;
}

/** Return a metric's newest value; the contract's default where none was recorded, NaN for a user's own. */
export function metricValue(state: State, name: string): number {
  return state.metrics.get(name)?.[0] ?? METRIC_DEFAULTS.get(name) ?? NaN;
}

/** Return the state after a record. A later attempt starts afresh; what an earlier one still sends is passed over. */
export function fold(state: State, record: LogRecord): State {
  if (record.attempt < state.attempt) return state;
  const before = record.attempt > state.attempt ? { ...EMPTY, attempt: record.attempt } : state;
  return isRows(record.body) ? foldRows(before, record, record.body) : foldEvent(before, record, record.body);
}

function foldRows(state: State, record: LogRecord, rows: Rows): State {
  const metrics = new Map(state.metrics);
  // The newest row of an outline stands at its end.
  const untold = rowCount(rows) - rows.timestamps.length;
  for (const [name, column] of rows.columns) {
    const index = column.findLastIndex((value) => value !== null);
    const value = column[index];
    const timestamp = rows.timestamps[index];
    if (value === undefined || value === null || timestamp === undefined) continue;
    put(metrics, name, value, [timestamp, record.producer, record.sequence + untold + index]);
  }
  const newest = rows.timestamps.length - 1;
  const at = rows.timestamps[newest] ?? 0;
  const stamp: Stamp = [at, record.producer, record.sequence + untold + newest];
  const running = !isBefore(stamp, state.statusStamp);
  return {
    ...state,
    metrics,
    status: running ? 'running' : state.status,
    statusStamp: running ? stamp : state.statusStamp,
    error: running ? '' : state.error,
    message: running ? '' : state.message,
    lost: false,
    startedAt: state.startedAt || (rows.timestamps[0] ?? 0),
    updatedAt: Math.max(state.updatedAt, at),
    steppedAt: Math.max(state.steppedAt, at),
    rows: state.rows + rowCount(rows),
    thinned: state.thinned + rows.thinned,
    models: foldModelLosses(state.models, rows),
    pace: paceAfterRows(state.pace, rows, metrics),
  };
}

function foldEvent(state: State, record: LogRecord, event: TrainingEvent): State {
  const stamp: Stamp = [event.timestamp, record.producer, record.sequence];
  const updatedAt = Math.max(state.updatedAt, event.timestamp);
  if (event.eventType === 'connection_lost') return { ...state, lost: true, updatedAt };
  const metrics = new Map(state.metrics);
  for (const [name, value] of event.metrics) put(metrics, name, value, stamp);
  const asked = statusOf(event);
  const newer = asked !== null && !isBefore(stamp, state.statusStamp);
  const stepped = event.eventType === 'step_update';
  return {
    ...state,
    metrics,
    status: newer ? asked : state.status,
    statusStamp: newer ? stamp : state.statusStamp,
    message: newer ? event.message : state.message,
    error: newer ? event.error : state.error,
    lost: false,
    startedAt: state.startedAt || event.timestamp,
    updatedAt,
    steppedAt: stepped ? Math.max(state.steppedAt, event.timestamp) : state.steppedAt,
    rows: state.rows + (stepped ? 1 : 0),
    phases: withPhase(state.phases, event),
    models: foldModels(state.models, event),
    pace: stepped ? withPace(state.pace, event.timestamp, overallSteps(metrics)) : state.pace,
  };
}

/** Say what status an event asks for; null where it leaves the status as it is. */
function statusOf(event: TrainingEvent): Status | null {
  if (event.status !== null) return event.status;
  switch (event.eventType) {
    case 'training_error':
      return 'error';
    case 'phase_completed':
      return event.name.includes('complete') ? 'completed' : 'running';
    case 'control':
    case 'alert':
    case 'annotation':
      return null;
    default:
      return 'running';
  }
}

function put(metrics: Map<string, Metric>, name: string, value: number, stamp: Stamp): void {
  const known = metrics.get(name);
  if (known === undefined || !isBefore(stamp, known[1])) metrics.set(name, [value, stamp]);
}

/** Order stamps by time, then producer, then number. Producers' ids are ASCII, so UTF-16 order is Python's. */
function isBefore(one: Stamp, other: Stamp): boolean {
  if (one[0] !== other[0]) return one[0] < other[0];
  if (one[1] !== other[1]) return one[1] < other[1];
  return one[2] < other[2];
}

function withPhase(phases: readonly Phase[], event: TrainingEvent): readonly Phase[] {
  if (event.eventType !== 'phase_completed' || phases.length >= MAX_PHASES) return phases;
  return [...phases, { name: event.name, completedAt: event.timestamp }];
}
