// The messages of docs/PROTOCOL.md as typed unions, parsed once where they come in: what can't be understood is null,
// fields that are not named here are passed over. Pure; called by the adapters.
import { BriefReader } from './brief';
import { fields, finite, flag, list, listOf, Malformed, number, object, optional, text } from './json';
import type { Reader } from './json';
import { lastOffset } from './records';
import type { Column, EventType, LogRecord, Rows, Status } from './records';
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
  /** How timestamps are told, and then each metric. */
  readonly codings: readonly Coding[];
}

/** What is expected of a value, how many zeros at the end of the difference are left out, and how many bits the rest has. */
export type Coding = readonly [expected: number, shift: number, width: number];

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
    const type = fields(message).get('type');
    switch (type) {
      case 'welcome':
        return { type, ...welcome(message) };
      case 'frame':
        return frame(message);
      case 'heartbeat':
        return heartbeat(message);
      case 'shape':
        return shape(message);
      case 'poll':
        return { type, ...poll(message) };
      case 'pong':
      case 'unsubscribed':
        return { type };
      case 'error':
        return { type, ...serverError(message) };
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

const welcome = object({ protocol: finite, storeId: text, heartbeatSeconds: finite, timestamp: finite });

const heartbeat: Reader<Heartbeat> = object({
  type: () => 'heartbeat' as const,
  epoch: text,
  top: finite,
  unsaved: finite,
  reason: text,
  timestamp: finite,
});

const shape: Reader<Shape> = object({
  type: () => 'shape' as const,
  id: finite,
  epoch: text,
  attempt: finite,
  producer: text,
  names: listOf(text),
  codings: listOf(coding),
});

const poll = object({
  protocol: finite,
  storeId: text,
  frame: optional<Frame | null>(null, frame),
  heartbeat,
  deleted: optional(false, flag),
});

const serverError = object({ error: text, protocols: optional<readonly number[]>([], listOf(finite)) });

const stamp: Reader<Stamp> = (value) => {
  const [timestamp, producer, sequence] = list(value);
  return [finite(timestamp), text(producer), finite(sequence)];
};

const state: Reader<State> = object({
  attempt: finite,
  status,
  statusStamp: stamp,
  metrics,
  message: text,
  error: text,
  lost: flag,
  startedAt: finite,
  updatedAt: finite,
  rows: finite,
  thinned: finite,
  steppedAt: finite,
  phases: listOf<Phase>(object({ name: text, completedAt: finite })),
  models: listOf<Model>(object({ number: finite, loss: optional<number | null>(null, number), completed: flag })),
  pace: listOf(pace),
});

const rows = object({ timestamps: listOf(finite), columns: fields, thinned: optional(0, finite) });
const cells = listOf(optional<number | null>(null, number));

const event = object({
  eventType,
  timestamp: finite,
  metrics: optional<ReadonlyMap<string, number>>(new Map(), (value) => new Map([...fields(value)].map(([name, each]) => [name, number(each)]))),
  status: optional<Status | null>(null, status),
  message: optional('', text),
  name: optional('', text),
  error: optional('', text),
});

const placed = object({ offset: finite, attempt: finite, producer: text, sequence: finite });

const line: Reader<LinePoints> = object({
  metric: text,
  model: finite,
  steps: listOf(number),
  values: listOf(optional(NaN, number)),
});

const range = object({ type: () => 'frame' as const, epoch: text, from: finite, to: finite, key: flag });

const keyFrame = object({
  recovered: optional(true, flag),
  coarse: optional(false, flag),
  coalesced: optional(0, finite),
  events: optional<readonly LogRecord[]>([], listOf(record)),
  trimmed: optional(0, finite),
  state,
  series: listOf(linePoints),
});

const deltaFrame = object({ records: listOf(record) });

const briefly = object({ brief: text, shape });

function frame(value: unknown): Frame {
  if (fields(value).has('brief')) return briefFrame(value);
  const read = range(value);
  if (read.key) return { ...read, key: true, ...keyFrame(value) };
  return { ...read, key: false, records: recordsOf(read, deltaFrame(value).records) };
}

/** Read a frame in brief that came as text: base64, its shape beside it. */
function briefFrame(value: unknown): Frame {
  const { brief, shape: told } = briefly(value);
  let data: Uint8Array<ArrayBuffer>;
  try {
    data = Uint8Array.from(atob(brief), (character) => character.charCodeAt(0));
  } catch {
    throw new Malformed();
  }
  const reader = new BriefReader();
  reader.shapes.set(told.id, told);
  const read = reader.read(data.buffer);
  if (read === null) throw new Malformed();
  return read;
}

/** Return records that are all of a range and nothing else: a viewer goes by what a frame says of itself. */
function recordsOf({ from, to }: { from: number; to: number }, records: readonly LogRecord[]): readonly LogRecord[] {
  let next = from;
  for (const each of records) {
    if (each.offset !== next) throw new Malformed();
    next = lastOffset(each) + 1;
  }
  if (from < 1 || next !== to + 1) throw new Malformed();
  return records;
}

function coding(value: unknown): Coding {
  const [expected, shift, width] = list(value);
  const zeros = finite(shift);
  // Shifted by a billion bits, each number would take 128 MB.
  if (zeros > 63) throw new Malformed();
  return [finite(expected), zeros, finite(width)];
}

function metrics(value: unknown): ReadonlyMap<string, Metric> {
  return new Map([...fields(value)].map(([name, metric]) => {
    const [newest, saidBy] = list(metric);
    return [name, [number(newest), stamp(saidBy)]];
  }));
}

function pace(value: unknown): Pace {
  const [timestamp, steps] = list(value);
  return [finite(timestamp), optional(NaN, number)(steps)];
}

function linePoints(value: unknown): LinePoints {
  const read = line(value);
  if (read.steps.length !== read.values.length) throw new Malformed();
  return read;
}

function record(value: unknown): LogRecord {
  const read = fields(value);
  return { ...placed(value), body: read.has('rows') ? rowsOf(read.get('rows')) : event(read.get('event')) };
}

function rowsOf(value: unknown): Rows {
  const { timestamps, columns: read, thinned } = rows(value);
  const columns = new Map<string, Column>();
  for (const [name, values] of read) {
    const column = cells(values);
    if (column.length !== timestamps.length) throw new Malformed();
    columns.set(name, column);
  }
  if (timestamps.length === 0) throw new Malformed();
  return { timestamps, columns, thinned };
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
      throw new Malformed();
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
      text(value);
      return 'annotation';
  }
}
