import { expect, it, vi } from 'vitest';

import type { LifecycleEvent, ProgressCallbacks } from './contract';
import type { Happening } from './happenings';
import { NOTHING } from './progress';
import { Teller } from './teller';

function failure(stamp: string, error: string): Happening {
  const event: LifecycleEvent = {
    eventType: 'training_error', sessionId: 's', message: '', name: '', error, metrics: {}, timestamp: '2025-01-15T10:30:45.000Z',
  };
  return { stamp, event };
}

it('a callback that fails is reported, and the others are told all the same', () => {
  const thrown: (() => void)[] = [];
  vi.stubGlobal('queueMicrotask', (callback: () => void) => thrown.push(callback));
  const told: string[] = [];
  const callbacks: ProgressCallbacks = {
    onMetricsUpdate: () => {
      throw new Error('not mine');
    },
    onStatusUpdate: (status) => { told.push(status); },
    onEvent: ({ eventType }) => { told.push(eventType); },
    onError: (error) => { told.push(error); },
  };
  const teller = new Teller('k', { current: callbacks });
  const metrics = { ...NOTHING.metrics, loss: 1 } as never;
  teller.progressed({ ...NOTHING, loaded: true, metrics, status: 'running' });
  teller.happened(failure('1', 'oh'));
  expect(told).toEqual(['running', 'training_error', 'oh']);
  expect(thrown[0]).toThrow('not mine');
});

it('an error that was told is not told again by who finds the session at it', () => {
  const errors: string[] = [];
  const teller = new Teller('k', { current: { onError: (error) => errors.push(error) } });
  teller.found(failure('1', 'one'));
  teller.found(failure('1', 'one'));
  teller.happened(failure('2', 'two'));
  teller.found(failure('2', 'two'));
  teller.found(null);
  expect(errors).toEqual(['one', 'two']);
});
