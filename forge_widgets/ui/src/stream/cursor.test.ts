// The rules of the cursor: repeated, reordered and lost frames end in the same state.
import { describe, expect, it } from 'vitest';

import { CursorClient } from './cursor';
import { keyMessage, parsedFrame, rowsMessage, seeded } from './testing';
import type { Json } from './testing';

function clientAfter(...messages: Json[]): CursorClient {
  const client = new CursorClient();
  for (const message of messages) client.take(parsedFrame(message));
  return client;
}

describe('CursorClient', () => {
  it('starts with a key frame: what comes before is a hole', () => {
    const client = new CursorClient();
    expect(client.take(parsedFrame(rowsMessage('e', 1, 3)))).toBe('hole');
    expect(client.cursor).toBeNull();
    expect(client.take(parsedFrame(keyMessage('e', 3)))).toBe('applied');
    expect(client.cursor).toEqual({ epoch: 'e', offset: 3 });
  });

  it('applies what follows, drops what it has, and calls what is missing a hole', () => {
    const client = clientAfter(keyMessage('e', 3));
    expect(client.take(parsedFrame(rowsMessage('e', 5, 6)))).toBe('hole');
    expect(client.take(parsedFrame(rowsMessage('e', 4, 6)))).toBe('applied');
    expect(client.take(parsedFrame(rowsMessage('e', 4, 6)))).toBe('dropped');
    expect(client.take(parsedFrame(rowsMessage('e', 2, 5)))).toBe('dropped');
    expect(client.take(parsedFrame(rowsMessage('other', 7, 8)))).toBe('hole');
    expect(client.state.rows).toBe(3);
  });

  it('takes of an overlapping block only the rows that are new', () => {
    const client = clientAfter(keyMessage('e', 3), rowsMessage('e', 4, 6), rowsMessage('e', 5, 9));
    expect(client.state.rows).toBe(6);
    expect(client.series.points('loss')[0]?.steps).toEqual([4, 5, 6, 7, 8, 9]);
    expect(client.state.statusStamp).toEqual([1009, 'p', 9]);
  });

  it('never goes back within an epoch, and follows into another', () => {
    const client = clientAfter(keyMessage('e', 0), rowsMessage('e', 1, 9));
    expect(client.take(parsedFrame(keyMessage('e', 5, {}, { recovered: false })))).toBe('dropped');
    expect(client.state.rows).toBe(9);
    expect(client.take(parsedFrame(keyMessage('f', 2, { rows: 2, attempt: 1 })))).toBe('applied');
    expect(client.cursor).toEqual({ epoch: 'f', offset: 2 });
    expect(client.state.rows).toBe(2);
  });

  it('says that there is a gap where its cursor was not honoured, until another attempt', () => {
    const client = clientAfter(keyMessage('e', 0), rowsMessage('e', 1, 2));
    client.take(parsedFrame(keyMessage('e', 90, { attempt: 1, rows: 90 }, { recovered: false })));
    expect(client.gap).toBe(true);
    client.take(parsedFrame(rowsMessage('e', 91, 92)));
    expect(client.gap).toBe(true);
    client.take(parsedFrame(rowsMessage('e', 93, 94, 2)));
    expect(client.gap).toBe(false);
    expect(client.series.points('loss')[0]?.steps).toEqual([93, 94]);
  });

  it('counts the steps that were trimmed before it, until another attempt', () => {
    const line = { metric: 'loss', model: 1, steps: [91, 92], values: [0.1, 0.2] };
    const client = clientAfter(rowsMessage('e', 1, 2), keyMessage('e', 92, { attempt: 1, rows: 92 }, { trimmed: 90, series: [line] }));
    expect(client.trimmed).toBe(90);
    client.take(parsedFrame(rowsMessage('e', 93, 94)));
    expect(client.trimmed).toBe(90);
    expect(client.series.points('loss')[0]?.steps).toEqual([91, 92, 93, 94]);
    client.take(parsedFrame(rowsMessage('e', 95, 96, 2)));
    expect(client.trimmed).toBe(0);
  });

  it('takes at the same place only the points that it lacked', () => {
    const few = { metric: 'loss', model: 1, steps: [1, 3], values: [1, 3] };
    const all = { metric: 'loss', model: 1, steps: [1, 2, 3], values: [1, 2, 3] };
    const coarse = keyMessage('e', 3, { attempt: 1, rows: 3 }, { coarse: true, series: [few] });
    const whole = keyMessage('e', 3, { attempt: 1, rows: 3 }, { series: [all] });
    const client = clientAfter(coarse);
    expect(client.take(parsedFrame(coarse))).toBe('dropped');
    expect(client.take(parsedFrame(whole))).toBe('applied');
    expect(client.series.points('loss')[0]?.steps).toEqual([1, 2, 3]);
    expect(client.take(parsedFrame(whole))).toBe('dropped');
    expect(client.take(parsedFrame({ ...coarse, to: 2 }))).toBe('dropped');
  });

  it('takes at the same place more points than it had, though they are not all', () => {
    const points = (...steps: number[]): Json => ({ metric: 'loss', model: 1, steps, values: steps });
    const coarse = (...steps: number[]): Json => keyMessage('e', 9, { attempt: 1, rows: 9 }, { coarse: true, series: [points(...steps)] });
    const client = clientAfter(coarse(1, 9));
    expect(client.coarse).toBe(true);
    expect(client.take(parsedFrame(coarse(1, 5, 9)))).toBe('applied');
    expect(client.take(parsedFrame(coarse(1, 9)))).toBe('dropped');
    expect(client.take(parsedFrame(coarse(1, 4, 9)))).toBe('dropped');
    expect(client.series.points('loss')[0]?.steps).toEqual([1, 5, 9]);
  });

  it('asks again where all points lie behind the few that it has', () => {
    const client = clientAfter(keyMessage('e', 9, { attempt: 1, rows: 9 }, { coarse: true }));
    expect(client.take(parsedFrame(keyMessage('e', 8, { attempt: 1, rows: 8 })))).toBe('hole');
    expect(client.cursor?.offset).toBe(9);
    expect(client.take(parsedFrame(keyMessage('e', 9, { attempt: 1, rows: 9 })))).toBe('applied');
    expect(client.coarse).toBe(false);
    expect(client.take(parsedFrame(keyMessage('e', 8, { attempt: 1, rows: 8 })))).toBe('dropped');
  });

  it('sees no gap where a log begins anew', () => {
    const client = clientAfter(keyMessage('', 0), keyMessage('e', 5, { attempt: 1 }, { recovered: false }));
    expect(client.gap).toBe(false);
  });

  it('keeps the extremes of a key frame, however many rows follow', () => {
    const steps = Array.from({ length: 800 }, (_, index) => 50 * index);
    const values = steps.map((step) => (step === 20_000 ? 99 : step === 30_000 ? -99 : 1 + Math.sin(step)));
    const line = { metric: 'loss', model: 1, steps, values };
    const client = clientAfter(keyMessage('e', 40_000, { attempt: 1, rows: 40_000 }, { series: [line] }));
    expect(client.series.points('loss')[0]).toEqual(line);
    client.take(parsedFrame(rowsMessage('e', 40_001, 100_000)));
    const after = client.series.points('loss')[0];
    expect(Math.max(...(after?.values ?? []))).toBe(99);
    expect(Math.min(...(after?.values ?? []))).toBe(-99);
    expect(after?.steps.length).toBeLessThanOrEqual(801);
    // Old rows keep their share: two fifths of the run are some two fifths of the points.
    expect(after?.steps.filter((step) => step <= 40_000).length).toBeGreaterThan(150);
  });
});

describe('any order of frames', () => {
  const TOP = 60;

  it.each(Array.from({ length: 50 }, (_, index) => 1 + index))('ends in the same state (seed %i)', (seed) => {
    const random = seeded(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    const reference = clientAfter(keyMessage('e', 0), rowsMessage('e', 1, TOP));
    const client = clientAfter(keyMessage('e', 0));
    let asked = 0;
    while (client.cursor?.offset !== TOP) {
      const before = client.cursor?.offset ?? 0;
      const from = 1 + below(TOP);
      const outcome = client.take(parsedFrame(rowsMessage('e', from, from + below(TOP + 1 - from))));
      expect(client.cursor?.offset).toBeGreaterThanOrEqual(before);
      // After a hole the client asks again, and what it gets goes on from its cursor.
      if (outcome === 'hole' && random() < 0.5) {
        asked += 1;
        const next = (client.cursor?.offset ?? 0) + 1;
        expect(client.take(parsedFrame(rowsMessage('e', next, next + below(TOP + 1 - next))))).toBe('applied');
      }
      if (asked > 1_000) throw new Error('it does not come to an end');
    }
    // Whatever the blocks were cut into, rows, curves and pace are the same.
    expect(client.state).toEqual(reference.state);
    expect(client.series.points('loss')).toEqual(reference.series.points('loss'));
  });
});
