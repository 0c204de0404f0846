// Reads what came over the wire as `unknown`: each reader returns a value of its type or throws Malformed.
// Called by messages.ts alone, which turns Malformed into null.

/** Says what was wrong where; never leaves messages.ts. */
export class Malformed extends Error {}

type Fields = ReadonlyMap<string, unknown>;

/** Read an object's fields; a Map, so that a metric named `__proto__` is a name like any other. */
export function fields(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed(`${where} is no object`);
  return new Map<string, unknown>(Object.entries(value));
}

export function text(value: unknown, where: string): string {
  if (typeof value !== 'string') throw new Malformed(`${where} is no text`);
  return value;
}

export function flag(value: unknown, where: string): boolean {
  if (typeof value !== 'boolean') throw new Malformed(`${where} is neither true nor false`);
  return value;
}

export function list(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Malformed(`${where} is no list`);
  return value;
}

/** Read a number; the names of those that are not finite stand for them. */
export function number(value: unknown, where: string): number {
  if (typeof value === 'number') return value;
  if (value === 'NaN') return NaN;
  if (value === 'Infinity') return Infinity;
  if (value === '-Infinity') return -Infinity;
  throw new Malformed(`${where} is no number`);
}

/** Read a number that has to be finite: an offset, a count, a time. */
export function finite(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Malformed(`${where} is no finite number`);
  return value;
}

/** Read a value that may be left out or null. */
export function optional<T>(value: unknown, fallback: T, read: (present: unknown) => T): T {
  return value === undefined || value === null ? fallback : read(value);
}

/** Read a field that has to be there. */
export function at<T>(read: Fields, name: string, reader: (value: unknown, where: string) => T): T {
  return reader(read.get(name), name);
}

/** Read a field that may be left out or null. */
export function atOr<T>(read: Fields, name: string, fallback: T, reader: (present: unknown, where: string) => T): T {
  return optional(read.get(name), fallback, (present) => reader(present, name));
}
