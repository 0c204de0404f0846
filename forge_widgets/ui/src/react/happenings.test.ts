// Each lifecycle event once and in order, however frames cut a log: by the vectors that hold all viewers, and by cases.
import { describe, expect, it } from 'vitest';

import { CursorClient } from '../stream/cursor';
import { keyMessage, parsedFrame, rowsMessage, vectors } from '../stream/testing';
import type { Json } from '../stream/testing';
import { Happenings } from './happenings';

function eventMessage(offset: number, event: Json, frame: Json = {}): Json {
  const record = { offset, attempt: 1, producer: 'p', sequence: offset, event: { metrics: {}, ...event } };
  return { type: 'frame', sessionId: 's', epoch: 'e', from: offset, to: offset, key: false, records: [record], ...frame };
}

const FAILED = { status: 'error', error: 'CUDA out of memory', statusStamp: [2, 'p', 2], attempt: 1 };

/** Take frames as a stream does: those that move the view. */
function taken(...messages: Json[]): string[] {
  const [client, happenings] = [new CursorClient(), new Happenings('s')];
  for (const frame of messages.map(parsedFrame)) if (client.take(frame) === 'applied') happenings.take(frame);
  return happenings.drain().map(({ event }) => `${event.eventType} ${event.error}${event.message}`.trim());
}

describe('the vectors of frames', () => {
  const cases = vectors('frames').filter(({ events }) => events !== undefined);

  it('are some', () => {
    expect(cases.length).toBeGreaterThan(0);
  });

  it.each(cases)('$name', ({ frames, events }) => {
    const [client, happenings] = [new CursorClient(), new Happenings('s')];
    for (const frame of (frames as Json[]).map(parsedFrame)) if (client.take(frame) === 'applied') happenings.take(frame);
    expect(happenings.drain()).toHaveLength((events as unknown[]).length);
  });
});

describe('an error', () => {
  it('that the session stands at is told to who comes later', () => {
    expect(taken(keyMessage('e', 2, FAILED))).toEqual(['training_error CUDA out of memory']);
  });

  it('is told once, though a key frame repeats it', () => {
    const error = eventMessage(2, { eventType: 'training_error', timestamp: 2, error: 'CUDA out of memory' });
    expect(taken(keyMessage('e', 1, { attempt: 1 }), error, error, keyMessage('e', 3, { ...FAILED }))).toEqual([
      'training_error CUDA out of memory',
    ]);
  });

  it('is told though the training went on in the same frame', () => {
    const { records } = rowsMessage('e', 3, 4);
    const error = eventMessage(2, { eventType: 'training_error', timestamp: 2, error: 'oh' });
    const frame = { ...error, to: 4, records: [...(error['records'] as Json[]), ...(records as Json[])] };
    expect(taken(keyMessage('e', 1, { attempt: 1 }), frame)).toEqual(['training_error oh']);
  });

  it('is told twice where it happened twice', () => {
    const error = (offset: number): Json => eventMessage(offset, { eventType: 'training_error', timestamp: offset, error: 'oh' });
    expect(taken(keyMessage('e', 1, { attempt: 1 }), error(2), error(3))).toHaveLength(2);
  });
});

describe('events', () => {
  it('of a coalesced frame are told, those that are known are not told again', () => {
    const done = eventMessage(2, { eventType: 'model_completed', timestamp: 2, message: 'Model 1 completed' });
    const next = eventMessage(7, { eventType: 'model_completed', timestamp: 7, message: 'Model 2 completed' });
    const events = [...(done['records'] as Json[]), ...(next['records'] as Json[])];
    expect(taken(keyMessage('e', 1, { attempt: 1 }), done, keyMessage('e', 9, { attempt: 1 }, { coalesced: 5, events }))).toEqual([
      'model_completed Model 1 completed',
      'model_completed Model 2 completed',
    ]);
  });

  it('of an attempt that is over are passed over, and steps are none', () => {
    const late = eventMessage(2, { eventType: 'model_completed', timestamp: 2, message: 'late' });
    const step = eventMessage(3, { eventType: 'step_update', timestamp: 3 });
    expect(taken(keyMessage('e', 1, { attempt: 2 }), late, step)).toEqual([]);
  });
});
