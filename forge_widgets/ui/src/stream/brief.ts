// Delta frames of rows in brief (forge_widgets/core/brief.py, docs/PROTOCOL.md): from bytes to the frame that they stand for.
// tests/vectors/brief.json holds the two together. Pure; one reader a connection, and one for each frame that came as text.
import { Bits, keyOf, likelyPerplexity, numberOf } from './bits';
import { Malformed } from './json';
import type { DeltaFrame, Shape } from './messages';
import type { Column, OutlinedLine } from './records';

// What is expected of a value, as forge_widgets/core/coding.py has it; 2 is the one before.
const PERPLEXITY = 0;
const WHOLE = 1;
const ONWARD = 3;

/** Four times what a server puts into a frame; where rows are as expected they take no byte, so that nothing else bounds them. */
const MAX_ROWS = 8_192;
/** Bits of an extreme's distance from the newest row that are rounded off. */
const CUT_BITS = 36n;

/** Where a frame ended: what the next one may go on from. */
interface Ending {
  readonly shape: Shape;
  /** Those of the row that comes next. */
  readonly offset: number;
  readonly sequence: number;
  /** The keys of the newest row and of the one before it, timestamps first. */
  readonly last: BigInt64Array;
  readonly before: BigInt64Array;
}

/** Say whether a binary message is a frame in brief; a deflated one begins with another bit. */
export function isBrief(data: ArrayBuffer): boolean {
  return (new Uint8Array(data)[0] ?? 0) > 127;
}

/** Reads the frames of one connection, in their order. */
export class BriefReader {
  /** What frames refer to, by number. */
  readonly shapes = new Map<number, Shape>();
  #ending: Ending | null = null;

  /** Read a frame; null where it can't be read, or goes on from another than the last one: then none that follows can be. */
  read(data: ArrayBuffer): DeltaFrame | null {
    try {
      return this.#frame(new Bits(data));
    } catch (error) {
      // A coding of fractions is a RangeError.
      if (error instanceof Malformed || error instanceof RangeError) return null;
      throw error;
    }
  }

  #frame(read: Bits): DeltaFrame {
    const [, outlined, onward, own = false, many, thin, named, odd] = read.flags(8);
    const known = this.#ending;
    this.#ending = null;
    if (odd || (onward && read.bits(8) !== (known?.offset ?? NaN) % 256)) throw new Malformed();
    const shape = named ? this.shapes.get(read.number()) : known?.shape;
    if (shape === undefined) throw new Malformed();
    const { offset, sequence, last, before } = onward && known !== null ? known : beginning(read, shape);
    const count = many ? read.number() : 1;
    const thinned = thin ? read.number() : 0;
    if (offset < 1 || count < 1 || count > MAX_ROWS) throw new Malformed();
    const [cells, patchy, expected] = cellsOf(read, shape, outlined ? 1 : count, own, last, before);
    const [timestamps = [], ...rest] = cells as (readonly number[])[];
    const columns = new Map<string, Column>(shape.names.map((name, at) => [name, rest[at] ?? []]));
    const outline = outlined && { outline: { count, lines: linesOf(read, shape, columns, expected, last) } };
    if (!read.atEnd) throw new Malformed();
    // Where some rows lack a metric, not all have the same before them.
    if (!patchy) this.#ending = { shape, offset: offset + count, sequence: sequence + count, last, before };
    const { epoch, attempt, producer } = shape;
    const body = { timestamps, columns, thinned, ...outline };
    return { type: 'frame', key: false, epoch, from: offset, to: offset + count - 1, records: [{ offset, attempt, producer, sequence, body }] };
  }
}

/** Read what a frame that stands alone goes on from: it says all of it itself. */
function beginning(read: Bits, shape: Shape): Ending {
  const [offset, sequence] = [read.number(), read.number()];
  const last = BigInt64Array.from(shape.codings, () => read.wide(64));
  return { shape, offset, sequence, last, before: last.slice() };
}

/** Read all columns, whether some rows lack one, and what was expected of each; `last` and `before` move on to the newest rows. */
function cellsOf(read: Bits, { names, codings }: Shape, rows: number, own: boolean, last: BigInt64Array, before: BigInt64Array): [Column[], boolean, number[]] {
  const columns: Column[] = [];
  const expectations: number[] = [];
  let patchy = false;
  codings.forEach((planned, at) => {
    let [expected, shift, width] = planned;
    let present: readonly boolean[] | null = null;
    if (own && read.flag()) {
      [expected, shift, width] = [read.bits(2), read.bits(6), read.bits(7)];
      if (read.flag()) present = read.flags(rows);
    }
    const losses = columns[names.indexOf('loss') + 1];
    columns.push(Array.from({ length: rows }, (_, row) => {
      if (present?.[row] === false) return null;
      const difference = width > 0 ? read.signed(width - 1) << BigInt(shift) : 0n;
      const newest = last[at] ?? 0n;
      let key = newest + difference;
      if (expected === ONWARD) key += newest - (before[at] ?? 0n);
      if (expected === PERPLEXITY) key = likelyPerplexity(losses?.[row] ?? 0) + difference;
      if (expected === WHOLE) key = keyOf(numberOf(newest) + Number(difference));
      before[at] = newest;
      last[at] = key;
      return numberOf(last[at] ?? key);
    }));
    expectations.push(expected);
    patchy ||= present !== null;
  });
  return [columns, patchy, expectations];
}

/** Read the extremes of an outline; those of a perplexity that was told by the loss are where the loss's are. */
function linesOf(read: Bits, { names }: Shape, columns: ReadonlyMap<string, Column>, expected: readonly number[], last: BigInt64Array): OutlinedLine[] {
  const backBits = read.bits(6);
  const step = columns.get('currentStep')?.[0] ?? NaN;
  const lines: OutlinedLine[] = [];
  names.forEach((metric, place) => {
    if (!read.flag()) return;
    if (expected[place + 1] === PERPLEXITY) {
      const losses = lines.find((line) => line.metric === 'loss')?.points ?? [];
      lines.push({ metric, points: losses.map(([at, loss]) => [at, numberOf(likelyPerplexity(loss))]) });
      return;
    }
    const newest = last[place + 1] ?? 0n;
    const width = read.bits(5);
    const point = (sign: bigint): readonly [number, number] => {
      if (read.flag()) return [step, numberOf(newest)];
      return [step - read.bits(backBits), numberOf(newest + sign * (read.wide(width) << CUT_BITS))];
    };
    const first = read.flag() ? -1n : 1n;
    lines.push({ metric, points: [point(first), point(-first)] });
  });
  return lines;
}
