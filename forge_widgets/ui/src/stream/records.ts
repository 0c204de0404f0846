// What a log consists of, as frames carry it: lifecycle events, and rows of steps in columns (core/events.py,
// core/steps.py). Types, and slicing of rows; parsed in messages.ts, folded in state.ts.

export type EventType =
  | 'training_started'
  | 'step_update'
  | 'model_completed'
  | 'phase_completed'
  | 'training_error'
  | 'connection_lost'
  | 'control'
  | 'alert'
  | 'annotation';

export type Status = 'waiting' | 'running' | 'paused' | 'completed' | 'error';

/** A lifecycle event. */
export interface TrainingEvent {
  readonly eventType: EventType;
  /** Seconds since the epoch, by the producer's clock. */
  readonly timestamp: number;
  readonly metrics: ReadonlyMap<string, number>;
  /** The status that the producer asks for; null where it leaves that open. */
  readonly status: Status | null;
  readonly message: string;
  /** A phase's or annotation's name. */
  readonly name: string;
  /** The text of a training_error. */
  readonly error: string;
}

/** One metric of a run of rows; null where a row has none. */
export type Column = readonly (number | null)[];

/** A run of step rows of one producer. */
export interface Rows {
  /** Seconds since the epoch, one a row, never falling. */
  readonly timestamps: readonly number[];
  readonly columns: ReadonlyMap<string, Column>;
  /** Rows that the producer had to drop just before these. */
  readonly thinned: number;
  /** Where the rows came too fast to be told: what they were. Then only the newest of them is in the columns. */
  readonly outline?: Outline;
}

/** Rows of which only the newest was told, and of each metric the least and the greatest value. */
export interface Outline {
  /** How many they were, the newest included. */
  readonly count: number;
  /** Metrics that were not the same in all of them, in the order of their names. */
  readonly lines: readonly OutlinedLine[];
}

/** The least and the greatest point of a metric, in the order of their coming; values in single precision. */
export interface OutlinedLine {
  readonly metric: string;
  readonly points: readonly (readonly [step: number, value: number])[];
}

/** What stands in a log: an event at one offset, or rows at a run of them. */
export interface LogRecord {
  readonly offset: number;
  readonly attempt: number;
  readonly producer: string;
  /** The producer's number of the event or of the first row. */
  readonly sequence: number;
  readonly body: TrainingEvent | Rows;
}

/** A position in a log: the last offset that was applied, in one incarnation of the log. */
export interface Cursor {
  readonly epoch: string;
  readonly offset: number;
}

/** Say whether a body is rows. */
export function isRows(body: TrainingEvent | Rows): body is Rows {
  return 'columns' in body;
}

/** Return the offset of a record's last row, or of its event. */
export function lastOffset(record: LogRecord): number {
  return isRows(record.body) ? record.offset + rowCount(record.body) - 1 : record.offset;
}

/** Return how many rows of a log these are. */
export function rowCount(rows: Rows): number {
  return rows.outline?.count ?? rows.timestamps.length;
}

/** Return the part of a record that lies after an offset; a cursor may stand inside a block, but not inside an outline. */
export function recordAfter(record: LogRecord, offset: number): LogRecord {
  const skip = offset + 1 - record.offset;
  if (skip <= 0 || !isRows(record.body)) return record;
  const columns = new Map<string, Column>();
  for (const [name, column] of record.body.columns) columns.set(name, column.slice(skip));
  // Rows dropped before the block were told with its first row.
  const body: Rows = { timestamps: record.body.timestamps.slice(skip), columns, thinned: 0 };
  return { ...record, offset: record.offset + skip, sequence: record.sequence + skip, body };
}
