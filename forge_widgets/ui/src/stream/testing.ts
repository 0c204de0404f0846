// What the tests of the stream share: the vectors, messages as a server writes them, a deadline, a seeded random number.
// Imported by tests alone.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { parseMessage } from './messages';
import type { DeltaFrame, Frame, KeyFrame } from './messages';
import type { LogRecord } from './records';
import type { LinePoints } from './series';
import type { State } from './state';

export type Json = Record<string, unknown>;

const EMPTY_STATE: Json = {
  attempt: 0,
  status: 'waiting',
  statusStamp: [0, '', 0],
  metrics: {},
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

/** Read a file of tests/vectors, which the Python tests hold true. Tests run in the folder of package.json. */
export function vectors(name: string): Json[] {
  return JSON.parse(readFileSync(resolve('../../tests/vectors', `${name}.json`), 'utf-8')) as Json[];
}

/** Build the message of a key frame; `state` and `frame` replace fields. */
export function keyMessage(epoch: string, to: number, state: Json = {}, frame: Json = {}): Json {
  return {
    type: 'frame',
    sessionId: 's',
    epoch,
    from: 1,
    to,
    key: true,
    recovered: true,
    state: { ...EMPTY_STATE, ...state },
    series: [],
    ...frame,
  };
}

/** Build the message of a delta frame of one record of rows: the row at offset n has step n and loss 1/n. */
export function rowsMessage(epoch: string, from: number, to: number, attempt = 1): Json {
  const offsets = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const rows = {
    timestamps: offsets.map((offset) => 1000 + offset),
    columns: { currentStep: offsets, loss: offsets.map((offset) => 1 / offset) },
    thinned: 0,
  };
  const record = { offset: from, attempt, producer: 'p', sequence: from, rows };
  return { type: 'frame', sessionId: 's', epoch, from, to, key: false, records: [record] };
}

export function parsedFrame(message: Json): Frame {
  const parsed = parseMessage(message);
  if (parsed?.type !== 'frame') throw new Error('this is no frame');
  return parsed;
}

export function parsedKey(message: Json): KeyFrame {
  const frame = parsedFrame(message);
  if (!frame.key) throw new Error('this is no key frame');
  return frame;
}

export function parsedDelta(message: Json): DeltaFrame {
  const frame = parsedFrame(message);
  if (frame.key) throw new Error('this is no delta frame');
  return frame;
}

/** Parse records as a delta frame carries them. */
export function parsedRecords(records: unknown): readonly LogRecord[] {
  return (records as Json[]).flatMap((record) => {
    const from = record['offset'] as number;
    const { timestamps = [0] } = (record['rows'] ?? {}) as { timestamps?: number[] };
    const to = from + timestamps.length - 1;
    return parsedDelta({ type: 'frame', epoch: 'e', from, to, key: false, records: [record] }).records;
  });
}

export function parsedState(state: unknown): State {
  return parsedKey({ ...keyMessage('e', 1), state }).state;
}

export function parsedLines(series: unknown): readonly LinePoints[] {
  return parsedKey({ ...keyMessage('e', 1), series }).series;
}

/** Return numbers of 0 to 1 that follow from a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Wait until a condition holds; fail with `what` after some seconds. */
export async function until(what: string, holds: () => boolean, timeoutMs = 5_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`${what} did not come about in ${String(timeoutMs)} ms`);
    await new Promise((next) => setTimeout(next, 5));
  }
}
