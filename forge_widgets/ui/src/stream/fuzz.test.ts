// What comes over the wire may be anything: drawn by fast-check, and mutated from what a server sends. Nothing of it makes
// the client throw, go back, or take a frame in part. A failure prints the seed and the smallest case.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { BriefReader } from './brief';
import { CursorClient } from './cursor';
import { parseMessage, parseText } from './messages';
import type { DeltaFrame, Frame } from './messages';
import type { LinePoints } from './series';
import { keyMessage, parsedFrame, rowsMessage, vectors } from './testing';
import type { Json } from './testing';

const TOP = 40;

/** Every frame of the shared vectors, and the messages that stand around frames. */
const HEARTBEAT = { type: 'heartbeat', epoch: 'e', top: 9, unsaved: 0, reason: '', timestamp: 1e9 };
const SEEDS: readonly Json[] = [
  { type: 'welcome', protocol: 1, sessionId: 's', storeId: 'x', heartbeatSeconds: 10, timestamp: 1e9 },
  HEARTBEAT,
  { type: 'pong', timestamp: 1 },
  { type: 'error', error: 'what it was' },
  { type: 'poll', protocol: 1, sessionId: 's', storeId: 'x', frame: rowsMessage('e', 3, 4), heartbeat: HEARTBEAT },
  keyMessage('e', 2, { attempt: 1, rows: 2 }, { series: [{ metric: 'loss', model: 1, steps: [1, 2], values: [1, 'NaN'] }] }),
  rowsMessage('e', 3, 6),
  ...vectors('frames').flatMap(({ frames }) => frames as Json[]),
];

/** Values that break what takes them for something else. */
const ODD = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(null, -1, 0.5, 1e308, 2 ** 53, 'NaN', 'Infinity', '', '__proto__', [], {}, [[]], [null], { __proto__: null }),
);

/** Say where in a message there is something, as paths. */
function pathsOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([name, inner]) => pathsOf(inner, [...path, name]))];
}

/** Return a message with one of its parts replaced; `undefined` leaves it out. */
function replaced(value: unknown, [name, ...rest]: readonly string[], part: unknown): unknown {
  if (name === undefined) return part;
  const copy: unknown = Array.isArray(value) ? [...(value as unknown[])] : { ...(value as Json) };
  (copy as Json)[name] = replaced((value as Json)[name], rest, part);
  return copy;
}

const mutated = fc
  .constantFrom(...SEEDS)
  .chain((message) => fc.tuple(fc.constant(message), fc.constantFrom(...pathsOf(message)), fc.option(ODD, { nil: undefined })))
  .map(([message, path, part]) => replaced(message, path, part));

/** Frames of one log of rows, repeated, reordered, overlapping, with holes; and of another epoch now and then. */
const anyFrame = fc
  .tuple(fc.integer({ min: 1, max: TOP }), fc.nat({ max: 9 }), fc.boolean(), fc.constantFrom('e', 'e', 'e', 'f'))
  .map(([from, more, key, epoch]) => {
    const to = Math.min(TOP, from + more);
    return key ? keyMessage(epoch, to, { attempt: 1, rows: to }, { recovered: false }) : rowsMessage(epoch, from, to);
  });

function started(): CursorClient {
  const client = new CursorClient();
  client.take(parsedFrame(keyMessage('e', 0)));
  client.take(parsedFrame(rowsMessage('e', 1, 2)));
  return client;
}

function curves(client: CursorClient): LinePoints[] {
  return client.series.metrics().flatMap((metric) => [...client.series.points(metric)]);
}

/** Let a client take a frame, and see that it takes all of it or nothing, and never goes back. */
function takeWhole(client: CursorClient, frame: Frame): void {
  const [before, state, lines] = [client.cursor, client.state, curves(client)];
  const outcome = client.take(frame);
  if (outcome === 'applied') {
    expect(client.cursor).toEqual({ epoch: frame.epoch, offset: frame.to });
    if (before?.epoch === frame.epoch) expect(frame.to).toBeGreaterThanOrEqual(before.offset);
    if (frame.key) expect(client.state).toBe(frame.state);
    else expect(frame.from).toBeLessThanOrEqual((before?.offset ?? 0) + 1);
  } else {
    expect([client.cursor, client.state]).toEqual([before, state]);
    expect(client.state).toBe(state);
    expect(curves(client)).toEqual(lines);
  }
}

describe('a message', () => {
  it('of any kind is typed or null', () => {
    fc.assert(fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (message) => { parseMessage(message); }));
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), fc.anything()), (text) => { parseText(text); }));
  });

  it('that is nested without end is typed or null', () => {
    for (const [open, close] of [['[', ']'], ['{"type":', '}']] as const) {
      for (const depth of [100, 100_000]) parseText(`${open.repeat(depth)}1${close.repeat(depth)}`);
    }
  });

  it('that was cut off anywhere is no message', () => {
    for (const text of SEEDS.map((message) => JSON.stringify(message))) {
      for (let end = 0; end < text.length; end += 1) expect(parseText(text.slice(0, end))).toBeNull();
    }
  });

  it('with any part replaced or left out is typed or null, and is taken whole or not at all', () => {
    fc.assert(
      fc.property(mutated, (message) => {
        const parsed = parseText(JSON.stringify(message));
        const frame = parsed?.type === 'poll' ? parsed.frame : parsed;
        if (frame?.type === 'frame') takeWhole(started(), frame);
      }),
      { numRuns: 3_000 },
    );
  });

  it('with any characters changed is typed or null, and is taken whole or not at all', () => {
    const harm = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.string({ maxLength: 2 })), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(fc.constantFrom(...SEEDS), harm, (message, changes) => {
        let text = JSON.stringify(message);
        for (const [share, put] of changes) {
          const at = Math.floor(share * text.length);
          text = text.slice(0, at) + put + text.slice(at + 1);
        }
        const parsed = parseText(text);
        if (parsed?.type === 'frame') takeWhole(started(), parsed);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('frames', () => {
  it('in any order are each taken whole or not at all, and no row is counted twice', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 30 }), (messages) => {
        const client = new CursorClient();
        for (const message of messages) {
          takeWhole(client, parsedFrame(message));
          // The row at offset n is step n of a log that holds nothing else.
          expect(client.state.rows).toBe(client.cursor?.offset ?? 0);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('that say more than they hold are not taken', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: -2, max: 8 }), fc.integer({ min: -2, max: 8 }), (rows, from, to) => {
        const message = { ...rowsMessage('e', 3, 2 + rows), from, to };
        const parsed = parseMessage(message);
        if (from === 3 && to === 2 + rows) expect(parsed).not.toBeNull();
        else expect(parsed).toBeNull();
      }),
    );
  });
});

describe('frames in brief', () => {
  interface Connection {
    readonly begun: Json;
    readonly shapes: readonly Json[];
    readonly bytes: readonly Uint8Array<ArrayBuffer>[];
  }

  const CONNECTIONS = vectors('brief').map(({ begun, frames }): Connection => ({
    begun: begun as Json,
    shapes: (frames as Json[]).flatMap(({ shape }) => (shape === null ? [] : [shape as Json])),
    bytes: (frames as Json[]).map(({ message }) => Uint8Array.from(Buffer.from(String(message), 'base64'))),
  }));

  function readerOf(shapes: readonly unknown[]): BriefReader {
    const reader = new BriefReader();
    for (const shape of shapes) {
      const parsed = parseMessage(shape);
      if (parsed?.type === 'shape') reader.shapes.set(parsed.id, parsed);
    }
    return reader;
  }

  function begunBy({ begun }: Connection): CursorClient {
    const client = new CursorClient();
    client.take(parsedFrame(keyMessage('e1', 1, begun)));
    return client;
  }

  const anyConnection = fc.constantFrom(...CONNECTIONS);

  it('of any bytes and any shape are typed or null, and are taken whole or not at all', () => {
    const shaped = anyConnection.chain((connection) => {
      const [shape = {}] = connection.shapes;
      return fc.tuple(fc.constant(connection), fc.constantFrom(...pathsOf(shape)), fc.option(ODD, { nil: undefined }), fc.boolean());
    });
    const noise = fc.uint8Array({ minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(shaped, noise, ([connection, path, part, sound], bytes) => {
        const [shape] = connection.shapes;
        const reader = readerOf([sound ? shape : replaced(shape, path, part)]);
        for (const data of [...connection.bytes.slice(0, 2), Uint8Array.of(0x80 | (bytes[0] ?? 0), ...bytes.slice(1))]) {
          const frame = reader.read(data.buffer);
          if (frame !== null) takeWhole(begunBy(connection), frame);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('of which bits were changed are typed or null, and are taken whole or not at all', () => {
    const harm = fc.array(fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(anyConnection, fc.nat({ max: 39 }), harm, (connection, which, changes) => {
        const reader = readerOf(connection.shapes);
        const client = begunBy(connection);
        connection.bytes.forEach((bytes, at) => {
          const data = Uint8Array.from(bytes);
          for (const [share, bits] of at === which % connection.bytes.length ? changes : []) {
            const place = Math.floor(share * data.length);
            data[place] = (data[place] ?? 0) ^ bits;
          }
          const frame = reader.read(data.buffer);
          if (frame !== null) takeWhole(client, frame);
        });
      }),
      { numRuns: 1_000 },
    );
  });

  it('that were lost, came twice or in another order are refused, and never read as something else', () => {
    fc.assert(
      fc.property(anyConnection, fc.array(fc.nat({ max: 39 }), { maxLength: 40 }), (connection, order) => {
        const sound = readerOf(connection.shapes);
        const frames = connection.bytes.map((bytes) => sound.read(bytes.buffer));
        const reader = readerOf(connection.shapes);
        const read: (DeltaFrame | null)[] = [];
        for (const which of order) {
          const at = which % connection.bytes.length;
          const frame = reader.read(connection.bytes[at]?.buffer ?? new ArrayBuffer(0));
          // The connection ends with a frame that is refused.
          if (frame === null) break;
          expect(frame).toEqual(frames[at]);
          read.push(frame);
        }
        const client = begunBy(connection);
        for (const frame of read) if (frame !== null) takeWhole(client, frame);
        expect(client.state.rows).toBe(client.cursor?.offset);
      }),
      { numRuns: 1_000 },
    );
  });
});
