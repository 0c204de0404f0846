// The messages of docs/PROTOCOL.md as typed unions, parsed once where they come in: what can't be understood is null,
// fields that are not named here are passed over. Pure; called by the adapters.
import { readBrief } from './brief';
import { at, atOr, fields, finite, flag, list, Malformed, number, optional, text } from './json';
import { lastOffset } from './records';
import type { Column, EventType, LogRecord, Rows, Status, TrainingEvent } from './records';
import type { LinePoints } from './series';
import type { Metric, Model, Pace, Phase, Stamp, State } from './state';

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
  /** True where the curves have fewer points than the sender could give. */
  readonly coarse: boolean;
  /** Rows after our cursor that are only in the curves, and the lifecycle events among them: none is left out. */
  readonly coalesced: number;
  readonly events: readonly LogRecord[];
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

/** What many frames in brief have in common: told once on a connection, before the first of them. */
export interface Shape {
  readonly type: 'shape';
  readonly id: number;
  readonly epoch: string;
  readonly attempt: number;
  readonly producer: string;
  /** Names of the metrics, in the order of the columns. */
  readonly names: readonly string[];
}

/** The answer to a poll. */
export interface Poll {
  readonly type: 'poll';
  readonly protocol: number;
  readonly storeId: string;
  readonly frame: Frame | null;
  readonly heartbeat: Heartbeat;
  /** True where what we have seen of the session was deleted. */
  readonly deleted: boolean;
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
  /** The versions that it speaks, where it speaks none of ours. */
  readonly protocols: readonly number[];
}

export type ServerMessage = Welcome | Frame | Shape | Heartbeat | Poll | Pong | Unsubscribed | ServerError;

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
      case 'shape':
        return shape(read);
      case 'poll':
        return poll(read);
      case 'pong':
      case 'unsubscribed':
        return { type };
      case 'error':
        return {
          type: 'error',
          error: at(read, 'error', text),
          protocols: atOr(read, 'protocols', [], numbers),
        };
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
    protocol: at(read, 'protocol', finite),
    storeId: at(read, 'storeId', text),
    heartbeatSeconds: at(read, 'heartbeatSeconds', finite),
    timestamp: at(read, 'timestamp', finite),
  };
}

function heartbeat(read: Fields): Heartbeat {
  return {
    type: 'heartbeat',
    epoch: at(read, 'epoch', text),
    top: at(read, 'top', finite),
    unsaved: at(read, 'unsaved', finite),
    reason: at(read, 'reason', text),
    timestamp: at(read, 'timestamp', finite),
  };
}

function shape(read: Fields): Shape {
  return {
    type: 'shape',
    id: at(read, 'id', finite),
    epoch: at(read, 'epoch', text),
    attempt: at(read, 'attempt', finite),
    producer: at(read, 'producer', text),
    names: at(read, 'names', list).map((name) => text(name, 'names')),
  };
}

function poll(read: Fields): Poll {
  return {
    type: 'poll',
    protocol: at(read, 'protocol', finite),
    storeId: at(read, 'storeId', text),
    frame: atOr<Frame | null>(read, 'frame', null, (value, name) => frame(fields(value, name))),
    heartbeat: heartbeat(at(read, 'heartbeat', fields)),
    deleted: atOr(read, 'deleted', false, flag),
  };
}

function frame(read: Fields): Frame {
  if (read.has('brief')) return briefFrame(at(read, 'brief', text), shape(at(read, 'shape', fields)));
  const range = {
    type: 'frame' as const,
    epoch: at(read, 'epoch', text),
    from: at(read, 'from', finite),
    to: at(read, 'to', finite),
  };
  if (!at(read, 'key', flag)) {
    return { ...range, key: false, records: recordsOf(range, at(read, 'records', list).map(record)) };
  }
  return {
    ...range,
    key: true,
    recovered: atOr(read, 'recovered', true, flag),
    coarse: atOr(read, 'coarse', false, flag),
    coalesced: atOr(read, 'coalesced', 0, finite),
    events: atOr(read, 'events', [], (value, name) => list(value, name).map(record)),
    trimmed: atOr(read, 'trimmed', 0, finite),
    state: state(at(read, 'state', fields)),
    series: at(read, 'series', list).map(linePoints),
  };
}

/** Read a frame in brief that came as text: base64, its shape beside it. */
function briefFrame(encoded: string, told: Shape): Frame {
  let data: Uint8Array<ArrayBuffer>;
  try {
    data = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  } catch {
    throw new Malformed('brief is no base64');
  }
  const read = readBrief(data.buffer, new Map([[told.id, told]]));
  if (read === null) throw new Malformed('brief is no frame');
  return read;
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
  for (const [name, value] of at(read, 'metrics', fields)) metrics.set(name, metric(value));
  return {
    attempt: at(read, 'attempt', finite),
    status: at(read, 'status', status),
    statusStamp: at(read, 'statusStamp', stamp),
    metrics,
    message: at(read, 'message', text),
    error: at(read, 'error', text),
    lost: at(read, 'lost', flag),
    startedAt: at(read, 'startedAt', finite),
    updatedAt: at(read, 'updatedAt', finite),
    rows: at(read, 'rows', finite),
    thinned: at(read, 'thinned', finite),
    steppedAt: at(read, 'steppedAt', finite),
    phases: at(read, 'phases', list).map(phase),
    models: at(read, 'models', list).map(model),
    pace: at(read, 'pace', list).map(pace),
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
  return { name: at(read, 'name', text), completedAt: at(read, 'completedAt', finite) };
}

function model(value: unknown): Model {
  const read = fields(value, 'model');
  return {
    number: at(read, 'number', finite),
    loss: atOr<number | null>(read, 'loss', null, number),
    completed: at(read, 'completed', flag),
  };
}

function pace(value: unknown): Pace {
  const [timestamp, steps] = list(value, 'pace');
  return [finite(timestamp, 'timestamp'), optional(steps, NaN, (present) => number(present, 'steps'))];
}

function linePoints(value: unknown): LinePoints {
  const read = fields(value, 'line');
  const steps = at(read, 'steps', list).map((step) => number(step, 'step'));
  const values = at(read, 'values', list).map((point) => optional(point, NaN, (present) => number(present, 'value')));
  if (steps.length !== values.length) throw new Malformed('steps and values differ in length');
  return { metric: at(read, 'metric', text), model: at(read, 'model', finite), steps, values };
}

function record(value: unknown): LogRecord {
  const read = fields(value, 'record');
  return {
    offset: at(read, 'offset', finite),
    attempt: at(read, 'attempt', finite),
    producer: at(read, 'producer', text),
    sequence: at(read, 'sequence', finite),
    body: read.has('rows') ? rows(at(read, 'rows', fields)) : event(at(read, 'event', fields)),
  };
}

function rows(read: Fields): Rows {
  const timestamps = at(read, 'timestamps', list).map((timestamp) => finite(timestamp, 'timestamp'));
  const columns = new Map<string, Column>();
  for (const [name, values] of at(read, 'columns', fields)) {
    const column = list(values, name).map((cell) => optional<number | null>(cell, null, (present) => number(present, name)));
    if (column.length !== timestamps.length) throw new Malformed(`column ${name} has another length than its rows`);
    columns.set(name, column);
  }
  if (timestamps.length === 0) throw new Malformed('rows without a row');
  return { timestamps, columns, thinned: atOr(read, 'thinned', 0, finite) };
}

function event(read: Fields): TrainingEvent {
  const metrics = new Map<string, number>();
  for (const [name, value] of atOr<Fields>(read, 'metrics', new Map(), fields)) {
    metrics.set(name, number(value, name));
  }
  return {
    eventType: at(read, 'eventType', eventType),
    timestamp: at(read, 'timestamp', finite),
    metrics,
    status: atOr<Status | null>(read, 'status', null, status),
    message: atOr(read, 'message', '', text),
    name: atOr(read, 'name', '', text),
    error: atOr(read, 'error', '', text),
  };
}

function numbers(value: unknown, where: string): number[] {
  return list(value, where).map((one) => finite(one, where));
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
