// Frames in brief stand for the frames that JSON carries; an outline tells all of its rows that a view keeps.
import { describe, expect, it } from 'vitest';

import { isBrief, readBrief } from './brief';
import { CursorClient } from './cursor';
import { parseMessage } from './messages';
import type { Shape } from './messages';
import { keyMessage, parsedFrame, rowsMessage, vectors } from './testing';
import type { Json } from './testing';

function bytesOf(text: unknown): ArrayBuffer {
  return Uint8Array.from(Buffer.from(String(text), 'base64')).buffer;
}

function shapesOf(message: unknown): ReadonlyMap<number, Shape> {
  const shape = parseMessage(message);
  if (shape?.type !== 'shape') throw new Error('no shape');
  return new Map([[shape.id, shape]]);
}

/** A view after the first row of a case. */
function begun(case_: Json): CursorClient {
  const client = new CursorClient();
  client.take(parsedFrame(keyMessage('e1', 1, case_['begun'] as Json)));
  return client;
}

function after(case_: Json): CursorClient {
  const client = begun(case_);
  const frame = readBrief(bytesOf(case_['message']), shapesOf(case_['shape']));
  if (frame === null) throw new Error('no frame');
  expect(client.take(frame)).toBe('applied');
  return client;
}

function stateOf(message: unknown): unknown {
  return parsedFrame(keyMessage('e1', 1, message as Json));
}

const CASES = vectors('brief').map((case_): [string, Json] => [String(case_['name']), case_]);
const OUTLINED = CASES.filter(([, case_]) => case_['outlined'] === true);

describe('A frame in brief', () => {
  it.each(CASES)('leads to the same state: %s', (_, case_) => {
    const client = after(case_);
    const expected = stateOf(case_['state']) as { readonly state: { readonly pace: unknown } };
    // How fast it goes is sampled from the rows that are told.
    const pace = case_['outlined'] === true ? { pace: client.state.pace } : {};
    expect(client.state).toEqual({ ...expected.state, ...pace });
  });

  it.each(CASES.filter(([, case_]) => case_['outlined'] !== true))('has every row: %s', (_, case_) => {
    const plain = begun(case_);
    plain.take(parsedFrame(case_['frame'] as Json));
    const client = after(case_);
    expect(client.cursor).toEqual(plain.cursor);
    for (const metric of plain.series.metrics()) expect(client.series.points(metric)).toEqual(plain.series.points(metric));
  });

  it.each(CASES)('is the same where it came as text: %s', (_, case_) => {
    const message = { type: 'frame', key: false, brief: case_['message'], shape: case_['shape'] };
    expect(parseMessage(message)).toEqual(readBrief(bytesOf(case_['message']), shapesOf(case_['shape'])));
    expect(parseMessage({ ...message, brief: '~' })).toBeNull();
    expect(parseMessage({ ...message, brief: 'AQ==' })).toBeNull();
    expect(parseMessage({ ...message, shape: null })).toBeNull();
  });

  it('is known by its first byte, which no deflated message has', () => {
    expect(isBrief(bytesOf(CASES[0]?.[1]['message']))).toBe(true);
    expect(isBrief(Uint8Array.of(0x78, 0x9c).buffer)).toBe(false);
    expect(isBrief(new ArrayBuffer(0))).toBe(false);
  });

  it.each(CASES)('that was cut off, made longer, or whose shape was not told, is none: %s', (_, case_) => {
    const bytes = new Uint8Array(bytesOf(case_['message']));
    const shapes = shapesOf(case_['shape']);
    for (let length = 0; length < bytes.length; length += 1) expect(readBrief(bytes.slice(0, length).buffer, shapes)).toBeNull();
    expect(readBrief(Uint8Array.of(...bytes, 0).buffer, shapes)).toBeNull();
    expect(readBrief(bytes.buffer, new Map())).toBeNull();
  });
});

describe('An outline', () => {
  it('has an example', () => {
    expect(OUTLINED.length).toBeGreaterThan(0);
  });

  it.each(OUTLINED)('draws the extremes of all rows: %s', (_, case_) => {
    const plain = begun(case_);
    plain.take(parsedFrame(case_['frame'] as Json));
    const client = after(case_);
    for (const metric of plain.series.metrics()) {
      const [all, told] = [plain.series.points(metric)[0]?.values ?? [], client.series.points(metric)[0]?.values ?? []];
      expect(Math.min(...told)).toBeCloseTo(Math.min(...all), 6);
      expect(Math.max(...told)).toBeCloseTo(Math.max(...all), 6);
      expect(told.at(-1)).toBe(all.at(-1));
    }
  });

  it.each(OUTLINED)('is refused as a whole where some of its rows are known: %s', (_, case_) => {
    const client = begun(case_);
    client.take(parsedFrame(rowsMessage('e1', 2, 3)));
    const frame = readBrief(bytesOf(case_['message']), shapesOf(case_['shape']));
    if (frame === null) throw new Error('no frame');
    expect(client.take(frame)).toBe('hole');
    expect(client.cursor).toEqual({ epoch: 'e1', offset: 3 });
  });

  it('gives its rows as many buckets as they would have by themselves', () => {
    const [, case_] = OUTLINED[0] ?? ['', {}];
    const frame = readBrief(bytesOf(case_['message']), shapesOf(case_['shape']));
    const [record] = frame?.records ?? [];
    if (frame === null || record === undefined) throw new Error('no frame');
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
