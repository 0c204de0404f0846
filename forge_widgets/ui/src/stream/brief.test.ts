// Frames in brief stand for the frames that JSON carries; an outline tells all of its rows that a view keeps.
import { describe, expect, it } from 'vitest';

import { keyOf, likelyPerplexity, numberOf } from './bits';
import { BriefReader, isBrief } from './brief';
import { CursorClient } from './cursor';
import { parseMessage } from './messages';
import type { DeltaFrame, Shape } from './messages';
import { isRows } from './records';
import type { Rows } from './records';
import type { State } from './state';
import { keyMessage, parsedFrame, rowsMessage, vectors } from './testing';
import type { Json } from './testing';

function bytesOf(text: unknown): ArrayBuffer {
  return Uint8Array.from(Buffer.from(String(text), 'base64')).buffer;
}

function* rowsOf({ timestamps, columns }: Rows): Iterable<unknown> {
  for (const [row, timestamp] of timestamps.entries()) yield [timestamp, ...[...columns].map(([name, column]) => [name, column[row]]).sort()];
}

/** One frame of a case, and its shape where that is told with it. */
interface Told {
  readonly shape: Json | null;
  readonly message: string;
  readonly frame: Json;
  readonly outlined: boolean;
}

function toldBy(case_: Json): readonly Told[] {
  return case_['frames'] as readonly Told[];
}

function shapeOf(message: unknown): Shape {
  const shape = parseMessage(message);
  if (shape?.type !== 'shape') throw new Error('no shape');
  return shape;
}

/** Read a frame as the next on a connection. */
function next(reader: BriefReader, { shape, message }: Told): DeltaFrame | null {
  if (shape !== null) reader.shapes.set(Number(shape['id']), shapeOf(shape));
  return reader.read(bytesOf(message));
}

/** Return the frames of a case, read on one connection. */
function framesOf(case_: Json): readonly DeltaFrame[] {
  const reader = new BriefReader();
  return toldBy(case_).map((told) => {
    const frame = next(reader, told);
    if (frame === null) throw new Error('no frame');
    return frame;
  });
}

/** A view after the first row of a case. */
function begun(case_: Json): CursorClient {
  const client = new CursorClient();
  client.take(parsedFrame(keyMessage('e1', 1, case_['begun'] as Json)));
  return client;
}

function after(case_: Json): CursorClient {
  const client = begun(case_);
  for (const frame of framesOf(case_)) expect(client.take(frame)).toBe('applied');
  return client;
}

/** A view that was sent the same as JSON. */
function plainly(case_: Json): CursorClient {
  const client = begun(case_);
  for (const { frame } of toldBy(case_)) client.take(parsedFrame(frame));
  return client;
}

const CASES = vectors('brief').map((case_): [string, Json] => [String(case_['name']), case_]);
const isOutlined = (case_: Json): boolean => toldBy(case_).some(({ outlined }) => outlined);
const OUTLINED = CASES.filter(([, case_]) => isOutlined(case_));
const EXACT = CASES.filter(([, case_]) => !isOutlined(case_));
const LONG = CASES.filter(([, case_]) => toldBy(case_).length > 2);

describe('A frame in brief', () => {
  it.each(CASES)('leads to the same state: %s', (_, case_) => {
    const client = after(case_);
    const expected = parsedFrame(keyMessage('e1', 1, case_['state'] as Json)) as { readonly state: State };
    // How fast it goes is sampled from the rows that are told.
    const pace = isOutlined(case_) ? { pace: client.state.pace } : {};
    expect(client.state).toEqual({ ...expected.state, ...pace });
  });

  it.each(EXACT)('is to the last bit what JSON would have been: %s', (_, case_) => {
    framesOf(case_).forEach((frame, at) => {
      const told = parsedFrame(toldBy(case_)[at]?.frame ?? {}) as DeltaFrame;
      // One block, where the log may have several.
      const cells = (frames: DeltaFrame): unknown[] => frames.records.flatMap(({ body }) => (isRows(body) ? [...rowsOf(body)] : []));
      expect(cells(frame)).toStrictEqual(cells(told));
      expect([frame.from, frame.to, frame.records[0]?.sequence]).toEqual([told.from, told.to, told.records[0]?.sequence]);
    });
  });

  it.each(EXACT)('has every row: %s', (_, case_) => {
    const [client, plain] = [after(case_), plainly(case_)];
    expect(client.cursor).toEqual(plain.cursor);
    for (const metric of plain.series.metrics()) expect(client.series.points(metric)).toEqual(plain.series.points(metric));
  });

  it.each(CASES)('is the same where it came as text: %s', (_, case_) => {
    const [told] = toldBy(case_);
    const message = { type: 'frame', key: false, brief: told?.message, shape: told?.shape };
    expect(parseMessage(message)).toEqual(framesOf(case_)[0]);
    expect(parseMessage({ ...message, brief: '~' })).toBeNull();
    expect(parseMessage({ ...message, brief: 'AQ==' })).toBeNull();
    expect(parseMessage({ ...message, shape: null })).toBeNull();
  });

  it('is known by its first byte, which no deflated message has', () => {
    expect(isBrief(bytesOf(toldBy(CASES[0]?.[1] ?? {})[0]?.message))).toBe(true);
    expect(isBrief(Uint8Array.of(0x78, 0x9c).buffer)).toBe(false);
    expect(isBrief(new ArrayBuffer(0))).toBe(false);
  });

  it.each(CASES)('that was cut off, made longer, or whose shape was not told, is none: %s', (_, case_) => {
    const [told] = toldBy(case_);
    if (told === undefined) throw new Error('no frame');
    const bytes = new Uint8Array(bytesOf(told.message));
    const shape = shapeOf(told.shape);
    const read = (data: ArrayBuffer, shapes: readonly Shape[] = [shape]): DeltaFrame | null => {
      const reader = new BriefReader();
      for (const known of shapes) reader.shapes.set(known.id, known);
      return reader.read(data);
    };
    for (let length = 0; length < bytes.length; length += 1) expect(read(bytes.slice(0, length).buffer)).toBeNull();
    expect(read(Uint8Array.of(...bytes, 0).buffer)).toBeNull();
    expect(read(bytes.buffer, [])).toBeNull();
  });
});

describe('What no server tells', () => {
  const shape = (...coding: readonly number[]): Json => ({ type: 'shape', id: 1, epoch: 'e1', attempt: 1, producer: 'p', names: [], codings: [coding] });

  it('is more rows than are sent at once: as expected they take no byte, and would fill the memory', () => {
    // Many rows of a named shape, offset and sequence, a timestamp, and how many they are, 7 bits in each byte.
    const read = (count: number): DeltaFrame | null => {
      const reader = new BriefReader();
      reader.shapes.set(1, shapeOf(shape(2, 0, 0)));
      return reader.read(Uint8Array.of(0b1000_1010, 1, 2, 1, ...new Uint8Array(8), 0x80 | (count & 127), count >> 7).buffer);
    };
    expect(read(8_192)?.to).toBe(8_193);
    expect(read(8_193)).toBeNull();
  });

  it('is a number of more bits than a double has: it would take as long as memory', () => {
    expect(parseMessage(shape(2, 63, 1))).not.toBeNull();
    for (const coding of [[2, 64, 1], [2, 1e9, 1], [2, 0], []]) expect(parseMessage(shape(...coding))).toBeNull();
  });
});

describe('A frame that goes on from the one before', () => {
  it.each(LONG)('is refused where that did not come, or came twice: %s', (_, case_) => {
    const [first, second, third] = toldBy(case_);
    if (first === undefined || second === undefined || third === undefined) throw new Error('too few');
    const lost = new BriefReader();
    next(lost, first);
    expect(next(lost, third)).toBeNull();
    const twice = new BriefReader();
    next(twice, first);
    expect(next(twice, second)).not.toBeNull();
    expect(next(twice, second)).toBeNull();
    // And nothing goes on from a frame that was refused.
    expect(next(twice, third)).toBeNull();
    // One that stands alone can be read again.
    expect(next(twice, first)).not.toBeNull();
    expect(next(new BriefReader(), second)).toBeNull();
  });
});

describe('exp', () => {
  it('is to the last bit what Python computes', () => {
    const told = vectors('exponential') as unknown as readonly (readonly [number, number])[];
    for (const [x, result] of told) if (x > 0 && x <= 700) expect(likelyPerplexity(x)).toBe(keyOf(result));
    expect([0, -1, NaN].map((loss) => numberOf(likelyPerplexity(loss)))).toEqual([1, 1, 1]);
    expect(likelyPerplexity(1e9)).toBe(likelyPerplexity(700));
  });
});

describe('An outline', () => {
  it('has an example', () => {
    expect(OUTLINED.length).toBeGreaterThan(0);
  });

  it.each(OUTLINED)('draws the extremes of all rows: %s', (_, case_) => {
    const [client, plain] = [after(case_), plainly(case_)];
    for (const metric of plain.series.metrics()) {
      const [all, told] = [plain.series.points(metric)[0]?.values ?? [], client.series.points(metric)[0]?.values ?? []];
      const [least, greatest] = [Math.min(...all), Math.max(...all)];
      // A 100,000th of itself, and of a perplexity what that makes of it.
      const off = 1e-5 * (metric === 'perplexity' ? Math.max(1, Math.log(greatest)) : 1);
      expect(Math.abs(Math.min(...told) / least - 1)).toBeLessThan(off);
      expect(Math.abs(Math.max(...told) / greatest - 1)).toBeLessThan(off);
      expect(told.at(-1)).toBe(all.at(-1));
    }
  });

  it.each(OUTLINED)('is refused as a whole where some of its rows are known: %s', (_, case_) => {
    const client = begun(case_);
    client.take(parsedFrame(rowsMessage('e1', 2, 3)));
    const [frame] = framesOf(case_);
    if (frame === undefined) throw new Error('no frame');
    expect(client.take(frame)).toBe('hole');
    expect(client.cursor).toEqual({ epoch: 'e1', offset: 3 });
  });

  it('gives its rows as many buckets as they would have by themselves', () => {
    const [, case_] = OUTLINED[0] ?? ['', {}];
    const [frame] = framesOf(case_);
    const [record] = frame?.records ?? [];
    if (frame === undefined || record === undefined) throw new Error('no frame');
    const client = begun(case_);
    // 6,000 rows by a hundred outlines: as many as 2^4 times the buckets hold.
    for (let turn = 0; turn < 100; turn += 1) {
      const from = 2 + 60 * turn;
      client.take({ ...frame, from, to: from + 59, records: [{ ...record, offset: from }] });
    }
    expect(client.state.rows).toBe(6001);
    const points = client.series.points('loss')[0]?.values.length ?? 0;
    expect(points).toBeGreaterThan(150);
    expect(points).toBeLessThan(802);
  });
});
