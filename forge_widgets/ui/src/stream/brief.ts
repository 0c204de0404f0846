// Delta frames of rows in brief (forge_widgets/core/brief.py, docs/PROTOCOL.md): from bytes to the frame that they stand for.
// tests/vectors/brief.json holds the two together. Pure; called by the WebSocket adapter, and by messages for what came as text.
import { Malformed } from './json';
import type { DeltaFrame, Shape } from './messages';
import type { Column, Outline, OutlinedLine } from './records';

const ROWS = 1;
const OUTLINE = 2;
const INTEGERS = 1;
const DOUBLES = 2;
const MASKED = 0x80;

/** Say whether a binary message is a frame in brief; a deflated one begins with another byte. */
export function isBrief(data: ArrayBuffer): boolean {
  const kind = new Uint8Array(data)[0];
  return kind === ROWS || kind === OUTLINE;
}

/** Read a frame whose shape was told before; null where it can't be read. */
export function readBrief(data: ArrayBuffer, shapes: ReadonlyMap<number, Shape>): DeltaFrame | null {
  try {
    return frameOf(new Reader(data), shapes);
  } catch (error) {
    // Reading past the end of the bytes is a RangeError.
    if (error instanceof Malformed || error instanceof RangeError) return null;
    throw error;
  }
}

function frameOf(read: Reader, shapes: ReadonlyMap<number, Shape>): DeltaFrame {
  const outlined = read.byte() === OUTLINE;
  const shape = shapes.get(read.count());
  if (shape === undefined) throw new Malformed('a shape that was not told');
  const from = read.count();
  const count = read.count();
  const sequence = from + read.signed();
  const thinned = read.count();
  if (from < 1 || count < 1) throw new Malformed('a frame without rows');
  const told = outlined ? 1 : count;
  const timestamps = Array.from({ length: told }, () => read.double());
  const columns = new Map(shape.names.map((name) => [name, columnOf(read, told)]));
  const outline = outlined ? { outline: outlineOf(read, count, timestamps[0] ?? NaN, columns, shape.names) } : {};
  if (!read.atEnd) throw new Malformed('more bytes than the frame has');
  return {
    type: 'frame',
    key: false,
    epoch: shape.epoch,
    from,
    to: from + count - 1,
    records: [{ offset: from, attempt: shape.attempt, producer: shape.producer, sequence, body: { timestamps, columns, thinned, ...outline } }],
  };
}

function columnOf(read: Reader, rows: number): Column {
  const kind = read.byte();
  const mask = kind & MASKED ? Array.from({ length: Math.ceil(rows / 8) }, () => read.byte()) : null;
  let before = 0;
  const value = (): number => {
    switch (kind & ~MASKED) {
      case INTEGERS:
        return (before += read.signed());
      case DOUBLES:
        return read.double();
      default:
        throw new Malformed('a column of no known kind');
    }
  };
  return Array.from({ length: rows }, (_, row) => (mask === null || (mask[row >> 3] ?? 0) & (1 << (row & 7)) ? value() : null));
}

function outlineOf(read: Reader, count: number, newest: number, columns: ReadonlyMap<string, Column>, names: readonly string[]): Outline {
  const startedAt = newest - read.count() / 1e6;
  const step = columns.get('currentStep')?.[0] ?? NaN;
  const lines = Array.from({ length: read.count() }, (): OutlinedLine => {
    const metric = names[read.count()];
    if (metric === undefined) throw new Malformed('a line of no metric');
    const point = (): readonly [number, number] => {
      const back = read.signed();
      const value = read.single();
      // The newest row itself is known exactly; another of its step is not that row.
      const exact = columns.get(metric)?.[0] ?? value;
      return [step - back, back === 0 && Math.fround(exact) === value ? exact : value];
    };
    return { metric, points: [point(), point()] };
  });
  return { count, startedAt, lines };
}

/** Reads numbers one after the other; past the end it throws RangeError. */
class Reader {
  readonly #view: DataView;
  #at = 0;

  constructor(data: ArrayBuffer) {
    this.#view = new DataView(data);
  }

  get atEnd(): boolean {
    return this.#at === this.#view.byteLength;
  }

  byte(): number {
    return this.#view.getUint8(this.#at++);
  }

  double(): number {
    return this.#view.getFloat64((this.#at += 8) - 8, true);
  }

  single(): number {
    return this.#view.getFloat32((this.#at += 4) - 4, true);
  }

  /** A whole number, seven bits a byte, the lowest first. Beyond 32 bits, so without bit operators. */
  count(): number {
    let value = 0;
    for (let unit = 1; ; unit *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * unit;
      if (value > Number.MAX_SAFE_INTEGER) throw new Malformed('a number too great');
      if (byte < 0x80) return value;
    }
  }

  /** A whole number with its sign in the lowest bit. */
  signed(): number {
    const folded = this.count();
    return folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
  }
}
