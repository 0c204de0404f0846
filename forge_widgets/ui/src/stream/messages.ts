// The messages of docs/PROTOCOL.md as typed unions, parsed once where they come in: what can't be understood is null,
// fields that are not named here are passed over. Pure; called by the adapters.
import { fields, finite, flag, list, Malformed, number, optional, text } from './json';
import { lastOffset } from './records';
import type { Column, EventType, LogRecord, Rows, Status, TrainingEvent } from './records';
import type { LinePoints } from './series';
import type { Metric, Model, Pace, Phase, Stamp, State } from './state';

export const PROTOCOL = 1;

/** Greets a viewer: which store this is, and how often a heartbeat comes. Times are the server's, in seconds. */
export interface Welcome {
  readonly type: 'welcome';
  readonly protocol: number;
  readonly storeId: string;
  readonly heartbeatSeconds: number;
  readonly timestamp: number;
}

/** Replaces everything that the viewer has. */
export interface KeyFrame {
  readonly type: 'frame';
  readonly key: true;
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
  /** False where the viewer asked to go on from a cursor that could not be honoured. */
  readonly recovered: boolean;
  /** Step rows of the attempt that the curves lack, since they were trimmed from the log. */
  readonly trimmed: number;
  readonly state: State;
  readonly series: readonly LinePoints[];
}

/** What came after a cursor. */
export interface DeltaFrame {
  readonly type: 'frame';
  readonly key: false;
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
  readonly records: readonly LogRecord[];
}

export type Frame = KeyFrame | DeltaFrame;

export interface Heartbeat {
  readonly type: 'heartbeat';
  readonly epoch: string;
  /** The log's newest offset. */
  readonly top: number;
  /** Events and rows that producers could not save yet, and why. */
  readonly unsaved: number;
  readonly reason: string;
  readonly timestamp: number;
}

/** The answer to a poll. */
export interface Poll {
  readonly type: 'poll';
  readonly protocol: number;
  readonly storeId: string;
  readonly frame: Frame | null;
  readonly heartbeat: Heartbeat;
}

export interface Pong {
  readonly type: 'pong';
}

/** The kernel follows nobody any more: another view of the same widget has left, or has a better transport. */
export interface Unsubscribed {
  readonly type: 'unsubscribed';
}

/** What the server did not understand of what we said. */
export interface ServerError {
  readonly type: 'error';
  readonly error: string;
}

export type ServerMessage = Welcome | Frame | Heartbeat | Poll | Pong | Unsubscribed | ServerError;

/** Parse a message; null where it is none of ours or is malformed. */
export function parseMessage(message: unknown): ServerMessage | null {
  try {
    const read = fields(message, 'message');
    const type = read.get('type');
    switch (type) {
      case 'welcome':
        return welcome(read);
      case 'frame':
        return frame(read);
      case 'heartbeat':
        return heartbeat(read);
      case 'poll':
        return poll(read);
      case 'pong':
      case 'unsubscribed':
        return { type };
      case 'error':
        return { type: 'error', error: text(read.get('error'), 'error') };
      default:
        return null;
    }
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}

/** Parse a message that came as JSON text. */
export function parseText(message: unknown): ServerMessage | null {
  if (typeof message !== 'string') return null;
  try {
    return parseMessage(JSON.parse(message));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Say whether JSON text claims to be a frame: one that can't be parsed must not be passed over like a foreign message. */
export function isFrame(message: unknown): boolean {
  return typeof message === 'string' && /"type"\s*:\s*"frame"/.test(message);
}

type Fields = ReadonlyMap<string, unknown>;

function welcome(read: Fields): Welcome {
  return {
    type: 'welcome',
    protocol: finite(read.get('protocol'), 'protocol'),
    storeId: text(read.get('storeId'), 'storeId'),
    heartbeatSeconds: finite(read.get('heartbeatSeconds'), 'heartbeatSeconds'),
    timestamp: finite(read.get('timestamp'), 'timestamp'),
  };
}

function heartbeat(read: Fields): Heartbeat {
  return {
    type: 'heartbeat',
    epoch: text(read.get('epoch'), 'epoch'),
    top: finite(read.get('top'), 'top'),
    unsaved: finite(read.get('unsaved'), 'unsaved'),
    reason: text(read.get('reason'), 'reason'),
    timestamp: finite(read.get('timestamp'), 'timestamp'),
  };
}

function poll(read: Fields): Poll {
  return {
    type: 'poll',
    protocol: finite(read.get('protocol'), 'protocol'),
    storeId: text(read.get('storeId'), 'storeId'),
    frame: optional<Frame | null>(read.get('frame'), null, (value) => frame(fields(value, 'frame'))),
    heartbeat: heartbeat(fields(read.get('heartbeat'), 'heartbeat')),
  };
}

function frame(read: Fields): Frame {
  const range = {
    type: 'frame' as const,
    epoch: text(read.get('epoch'), 'epoch'),
    from: finite(read.get('from'), 'from'),
    to: finite(read.get('to'), 'to'),
  };
  if (!flag(read.get('key'), 'key')) {
    return { ...range, key: false, records: recordsOf(range, list(read.get('records'), 'records').map(record)) };
  }
  return {
    ...range,
    key: true,
    recovered: optional(read.get('recovered'), true, (value) => flag(value, 'recovered')),
    trimmed: optional(read.get('trimmed'), 0, (value) => finite(value, 'trimmed')),
    state: state(fields(read.get('state'), 'state')),
    series: list(read.get('series'), 'series').map(linePoints),
  };
}

/** Return records that are all of a range and nothing else: a viewer goes by what a frame says of itself. */
function recordsOf({ from, to }: { from: number; to: number }, records: readonly LogRecord[]): readonly LogRecord[] {
  let next = from;
  for (const each of records) {
    if (each.offset !== next) throw new Malformed('records leave something out');
    next = lastOffset(each) + 1;
  }
  if (from < 1 || next !== to + 1) throw new Malformed('records are not those of the range');
  return records;
}

function state(read: Fields): State {
  const metrics = new Map<string, Metric>();
  for (const [name, value] of fields(read.get('metrics'), 'metrics')) metrics.set(name, metric(value));
  return {
    attempt: finite(read.get('attempt'), 'attempt'),
    status: status(read.get('status')),
    statusStamp: stamp(read.get('statusStamp')),
    metrics,
    message: text(read.get('message'), 'message'),
    error: text(read.get('error'), 'error'),
    lost: flag(read.get('lost'), 'lost'),
    startedAt: finite(read.get('startedAt'), 'startedAt'),
    updatedAt: finite(read.get('updatedAt'), 'updatedAt'),
    rows: finite(read.get('rows'), 'rows'),
    thinned: finite(read.get('thinned'), 'thinned'),
    steppedAt: finite(read.get('steppedAt'), 'steppedAt'),
    phases: list(read.get('phases'), 'phases').map(phase),
    models: list(read.get('models'), 'models').map(model),
    pace: list(read.get('pace'), 'pace').map(pace),
  };
}

function metric(value: unknown): Metric {
  const [newest, saidBy] = list(value, 'metric');
  return [number(newest, 'metric value'), stamp(saidBy)];
}

function stamp(value: unknown): Stamp {
  const [timestamp, producer, sequence] = list(value, 'stamp');
  return [finite(timestamp, 'timestamp'), text(producer, 'producer'), finite(sequence, 'sequence')];
}

function phase(value: unknown): Phase {
  const read = fields(value, 'phase');
  return { name: text(read.get('name'), 'name'), completedAt: finite(read.get('completedAt'), 'completedAt') };
}

function model(value: unknown): Model {
  const read = fields(value, 'model');
  return {
    number: finite(read.get('number'), 'number'),
    loss: optional<number | null>(read.get('loss'), null, (loss) => number(loss, 'loss')),
    completed: flag(read.get('completed'), 'completed'),
  };
}

function pace(value: unknown): Pace {
  const [timestamp, steps] = list(value, 'pace');
  return [finite(timestamp, 'timestamp'), optional(steps, NaN, (present) => number(present, 'steps'))];
}

function linePoints(value: unknown): LinePoints {
  const read = fields(value, 'line');
  const steps = list(read.get('steps'), 'steps').map((step) => number(step, 'step'));
  const values = list(read.get('values'), 'values').map((point) => optional(point, NaN, (present) => number(present, 'value')));
  if (steps.length !== values.length) throw new Malformed('steps and values differ in length');
  return { metric: text(read.get('metric'), 'metric'), model: finite(read.get('model'), 'model'), steps, values };
}

function record(value: unknown): LogRecord {
  const read = fields(value, 'record');
  return {
    offset: finite(read.get('offset'), 'offset'),
    attempt: finite(read.get('attempt'), 'attempt'),
    producer: text(read.get('producer'), 'producer'),
    sequence: finite(read.get('sequence'), 'sequence'),
    body: read.has('rows') ? rows(fields(read.get('rows'), 'rows')) : event(fields(read.get('event'), 'event')),
  };
}

function rows(read: Fields): Rows {
  const timestamps = list(read.get('timestamps'), 'timestamps').map((timestamp) => finite(timestamp, 'timestamp'));
  const columns = new Map<string, Column>();
  for (const [name, values] of fields(read.get('columns'), 'columns')) {
    const column = list(values, name).map((cell) => optional<number | null>(cell, null, (present) => number(present, name)));
    if (column.length !== timestamps.length) throw new Malformed(`column ${name} has another length than its rows`);
    columns.set(name, column);
  }
  if (timestamps.length === 0) throw new Malformed('rows without a row');
  return { timestamps, columns, thinned: optional(read.get('thinned'), 0, (count) => finite(count, 'thinned')) };
}

function event(read: Fields): TrainingEvent {
  const metrics = new Map<string, number>();
  for (const [name, value] of optional<Fields>(read.get('metrics'), new Map(), (found) => fields(found, 'metrics'))) {
    metrics.set(name, number(value, name));
  }
  return {
    eventType: eventType(read.get('eventType')),
    timestamp: finite(read.get('timestamp'), 'timestamp'),
    metrics,
    status: optional<Status | null>(read.get('status'), null, status),
    message: optional(read.get('message'), '', (found) => text(found, 'message')),
    name: optional(read.get('name'), '', (found) => text(found, 'name')),
    error: optional(read.get('error'), '', (found) => text(found, 'error')),
  };
}

function status(value: unknown): Status {
  switch (value) {
    case 'waiting':
    case 'running':
    case 'paused':
    case 'completed':
    case 'error':
      return value;
    default:
      throw new Malformed('status is none that we know');
  }
}

function eventType(value: unknown): EventType {
  switch (value) {
    case 'training_started':
    case 'step_update':
    case 'model_completed':
    case 'phase_completed':
    case 'training_error':
    case 'connection_lost':
    case 'control':
    case 'alert':
      return value;
    default:
      // A kind that a newer server knows is a remark to us: it takes its offset and leaves the status as it is.
      text(value, 'eventType');
      return 'annotation';
  }
}
