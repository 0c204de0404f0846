// Writes what the stream holds as the wire writes it, for processes of the fault suite: maps as objects, numbers that are
// not finite as their names.
import process from 'node:process';

import { isRows } from '../../forge_widgets/ui/src/stream/records';
import type { LogRecord } from '../../forge_widgets/ui/src/stream/records';
import type { LinePoints, Series } from '../../forge_widgets/ui/src/stream/series';

/** Write a line of JSON to stdout. */
export function say(line: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(line, asWritten)}\n`);
}

/** Return records as a delta frame carries them. */
export function recordsOf(records: readonly LogRecord[]): Record<string, unknown>[] {
  return records.map(({ body, ...place }) => (isRows(body) ? { ...place, rows: body } : { ...place, event: body }));
}

/** Return all curves as a key frame carries them. */
export function linesOf(series: Series): LinePoints[] {
  return series.metrics().flatMap((metric) => series.points(metric));
}

function asWritten(_: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value as Map<string, unknown>);
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}
