// Reads what came over the wire as `unknown`: each reader returns a value of its type or throws Malformed, which says no more:
// whoever parses a message turns it into null. Called by messages.ts and finer.ts.

/** Never leaves the two that parse. */
export class Malformed extends Error {}

export type Reader<T> = (value: unknown) => T;

type Readers = Readonly<Record<string, Reader<unknown>>>;
type ReadBy<R extends Readers> = { readonly [Name in keyof R]: ReturnType<R[Name]> };

/** Read an object's fields; a Map, so that a metric named `__proto__` is a name like any other. */
export function fields(value: unknown): ReadonlyMap<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed();
  return new Map<string, unknown>(Object.entries(value));
}

export function text(value: unknown): string {
  if (typeof value !== 'string') throw new Malformed();
  return value;
}

export function flag(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new Malformed();
  return value;
}

export function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Malformed();
  return value;
}

/** Read a number; the names of those that are not finite stand for them. */
export function number(value: unknown): number {
  if (typeof value === 'number') return value;
  if (value === 'NaN') return NaN;
  if (value === 'Infinity') return Infinity;
  if (value === '-Infinity') return -Infinity;
  throw new Malformed();
}

/** Read a number that has to be finite: an offset, a count, a time. */
export function finite(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Malformed();
  return value;
}

/** Return the reader of a value that may be left out or null. */
export function optional<T>(fallback: T, reader: Reader<T>): Reader<T> {
  return (value) => (value === undefined || value === null ? fallback : reader(value));
}

/** Return the reader of a list. */
export function listOf<T>(reader: Reader<T>): Reader<readonly T[]> {
  return (value) => list(value).map((each) => reader(each));
}

/** Return the reader of an object that has these fields; others are passed over. */
export function object<R extends Readers>(readers: R): Reader<ReadBy<R>> {
  return (value) => {
    const read = fields(value);
    return Object.fromEntries(Object.entries(readers).map(([name, reader]) => [name, reader(read.get(name))])) as ReadBy<R>;
  };
}
