// The shared vectors: what the Python implementation computes, this one computes, too.
import { describe, expect, it } from 'vitest';

import { CursorClient } from './cursor';
import { estimate } from './eta';
import { pulse } from './pulse';
import { isRows } from './records';
import type { LinePoints } from './series';
import { Series } from './series';
import { emptyState, fold } from './state';
import type { Pace } from './state';
import { parsedFrame, parsedLines, parsedRecords, parsedState, vectors } from './testing';
import type { Json } from './testing';

function linesOf(series: Series): LinePoints[] {
  return series.metrics().flatMap((metric) => series.points(metric));
}

describe('fold', () => {
  it.each(vectors('fold'))('$name', ({ records, states }) => {
    const expected = (states as Json[]).map(parsedState);
    let state = emptyState();
    parsedRecords(records).forEach((record, index) => {
      state = fold(state, record);
      expect(state, `after record ${String(index)}`).toEqual(expected[index]);
    });
  });
});

describe('estimate', () => {
  it.each(vectors('eta'))('$name', ({ pace, total, estimate: expected }) => {
    expect(estimate(pace as Pace[], total as number)).toEqual(expected);
  });
});

describe('series', () => {
  it.each(vectors('series'))('$name', ({ records, lines }) => {
    const series = new Series();
    for (const record of parsedRecords(records)) series.add(record);
    expect(linesOf(series)).toEqual(parsedLines(lines));
  });
});

describe('frames', () => {
  it.each(vectors('frames'))('$name', ({ frames, state, events, rows }) => {
    const client = new CursorClient();
    const heard: number[] = [];
    let told = 0;
    for (const frame of (frames as Json[]).map(parsedFrame)) {
      const records = frame.key ? frame.events : frame.records;
      heard.push(...records.filter((record) => !isRows(record.body)).map((record) => record.offset));
      told += frame.key ? frame.coalesced : records.reduce((sum, { body }) => sum + (isRows(body) ? body.timestamps.length : 0), 0);
      expect(client.take(frame)).not.toBe('hole');
    }
    expect(client.state).toEqual(parsedState(state));
    // Where a slow viewer got the log: every event after its first frame, and every row, if only as a point of a curve.
    if (events !== undefined) expect({ heard, told }).toEqual({ heard: events, told: rows });
  });
});

describe('pulse', () => {
  it.each(vectors('pulse'))('$name', ({ pace, steppedAt, updatedAt, now, pulse: expected }) => {
    const state = { ...emptyState(), pace: pace as Pace[], steppedAt: steppedAt as number, updatedAt: updatedAt as number };
    expect(pulse(state, now as number)).toBe(expected);
  });
});
