// Doubles as whole numbers in the same order, bits in a row, and the exp that is the same everywhere: what frames in brief are
// read with (forge_widgets/core/bits.py, exponential.py; tests/vectors/exponential.json holds both to the same bits). Pure.

const LN2_HIGH = 6.93147180369123816490e-1;
const LN2_LOW = 1.90821492927058770002e-10;
const GREATEST_LOSS = 700;

const pattern = new BigInt64Array(1);
const double = new Float64Array(pattern.buffer);

/** Return a double's key: a greater double has a greater one, neighbours differ by 1. */
export function keyOf(value: number): bigint {
  double[0] = value;
  const [bits = 0n] = pattern;
  return turned(bits);
}

/** Return the double that has a key. */
export function numberOf(key: bigint): number {
  pattern[0] = turned(key);
  const [value = 0] = double;
  return value;
}

/** A negative double's bits fall where it rises: all but the sign are turned over. */
function turned(bits: bigint): bigint {
  return bits < 0n ? bits ^ 0x7fff_ffff_ffff_ffffn : bits;
}

/** Return the key of the perplexity that a loss lets expect; operation by operation what exponential.py does. */
export function likelyPerplexity(loss: number): bigint {
  const x = loss > 0 ? Math.min(loss, GREATEST_LOSS) : 0;
  const doublings = Math.floor(x * Math.LOG2E + 0.5);
  const high = x - doublings * LN2_HIGH;
  const low = doublings * LN2_LOW;
  const rest = high - low;
  let series = 1;
  for (let term = 13; term > 2; term -= 1) series = 1 + (rest * series) / term;
  const one = 1 + high;
  return keyOf(one + (rest * rest * series * 0.5 - low + (high - (one - 1)))) + (BigInt(doublings) << 52n);
}

/** Reads a message bit by bit, each number with its highest bit first. Past the end are zeros. */
export class Bits {
  // Digits: sliced and parsed as they are, in less code and time than shifting takes.
  readonly #digits: string;
  #at = 0;

  constructor(data: ArrayBuffer) {
    this.#digits = Array.from(new Uint8Array(data), (byte) => (byte + 256).toString(2).slice(1)).join('');
  }

  /** Whether just the filling of the last byte is left: nothing is missing, and nothing too much. */
  get atEnd(): boolean {
    const left = this.#digits.length - this.#at;
    return left >= 0 && left < 8;
  }

  flag(): boolean {
    return this.#digits[this.#at++] === '1';
  }

  flags(count: number): readonly boolean[] {
    return Array.from({ length: count }, () => this.flag());
  }

  /** Read a number of few bits (53 at most). */
  bits(width: number): number {
    return Number(this.wide(width));
  }

  /** Read a number of any bits. */
  wide(width: number): bigint {
    const digits = this.#digits.slice(this.#at, (this.#at += width));
    return BigInt(`0b0${digits}`);
  }

  /** Read a number of any size: 7 bits at a time, the lowest first, before each a bit that says whether more follow. */
  number(): number {
    const more = this.flag();
    const low = this.bits(7);
    return more ? low + 128 * this.number() : low;
  }

  /** Read a signed number of about so many bits, in Golomb's code: what is above them as 1s up to a 0; after 8 of these it comes in full. */
  signed(lowBits: number): bigint {
    let rest = 0;
    while (rest < 8 && this.flag()) rest += 1;
    const folded = rest < 8 ? (BigInt(rest) << BigInt(lowBits)) | this.wide(lowBits) : this.wide(64);
    return (folded >> 1n) ^ -(folded & 1n);
  }
}
