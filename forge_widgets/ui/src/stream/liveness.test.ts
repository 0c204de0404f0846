// What a view says of a training, judged by the training's own pace.
import { describe, expect, it } from 'vitest';

import { CursorClient } from './cursor';
import { progressShare, timeLeft } from './eta';
import { liveness } from './liveness';
import { emptyState } from './state';
import type { Pace, State } from './state';
import type { SessionView } from './view';

const NOW = 5_000;

function viewOf(state: Partial<State>, view: Partial<SessionView> = {}): SessionView {
  const client = new CursorClient();
  return {
    sessionId: 'cognate-7',
    epoch: 'e',
    state: { ...emptyState(), attempt: 1, ...state },
    series: client.series,
    coarse: false,
    version: 1,
    link: { transport: 'websocket', reason: '', offlineSince: null },
    unsaved: 0,
    unsavedReason: '',
    gap: false,
    trimmed: 0,
    loaded: true,
    deleted: false,
    clockOffset: 0,
    ...view,
  };
}

/** A run of so many steps a second, whose last step was some seconds ago. */
function running(stepsPerSecond: number, idle: number, apart = 1): Partial<State> {
  const pace = Array.from({ length: 20 }, (_, index): Pace => {
    const at = NOW - idle - (19 - index) * apart;
    return [at, stepsPerSecond * apart * index];
  });
  return { status: 'running', pace, steppedAt: NOW - idle, updatedAt: NOW - idle };
}

describe('liveness', () => {
  it('waits for a session that has nothing recorded', () => {
    expect(liveness(viewOf({}), NOW)).toEqual({
      status: 'waiting',
      text: 'Waiting for cognate-7… nothing recorded yet',
    });
    expect(liveness(viewOf({}, { loaded: false }), NOW).text).toBe('Looking for cognate-7…');
    const link = { transport: null, reason: 'the server can’t be reached', offlineSince: NOW * 1000 };
    expect(liveness(viewOf({}, { loaded: false, link }), NOW).text).toContain('the server can’t be reached');
  });

  it('runs while steps come as they usually do', () => {
    expect(liveness(viewOf(running(5, 0.4)), NOW)).toEqual({ status: 'running', text: '' });
    expect(liveness(viewOf(running(0.1, 15, 10)), NOW).status).toBe('running');
  });

  it('is slow, then stalled, measured by the run’s own waits', () => {
    expect(liveness(viewOf(running(5, 8)), NOW)).toEqual({ status: 'slow', text: 'no step for 8.0 s, usually 0.2 s' });
    expect(liveness(viewOf(running(5, 41)), NOW)).toEqual({ status: 'stalled', text: 'no step for 41 s, usually 0.2 s' });
    // Ten seconds from step to step: 41 s are slow, not stalled.
    expect(liveness(viewOf(running(0.1, 41, 10)), NOW)).toEqual({ status: 'slow', text: 'no step for 41 s, usually 10 s' });
    expect(liveness(viewOf(running(500, 41)), NOW).text).toBe('no step for 41 s, usually 2 ms');
  });

  it('is slow where steps take three times as long as they did', () => {
    const fast = Array.from({ length: 10 }, (_, index): Pace => [NOW - 14 + index, 5 * index]);
    const slow = Array.from({ length: 5 }, (_, index): Pace => [NOW - 4 + index, 46 + index]);
    const state = { ...running(5, 0), pace: [...fast, ...slow] };
    expect(liveness(viewOf(state), NOW)).toEqual({ status: 'slow', text: '1.0 s a step, usually 0.2 s' });
  });

  it('says that a training has not begun to step', () => {
    const state: Partial<State> = { status: 'running', updatedAt: NOW - 45 };
    expect(liveness(viewOf(state), NOW)).toEqual({ status: 'stalled', text: 'no step yet after 45 s' });
  });

  it('judges by the server’s clock, and no later than the link lived', () => {
    expect(liveness(viewOf(running(5, 0), { clockOffset: 100 }), NOW - 100).status).toBe('running');
    const link = { transport: null, reason: '', offlineSince: (NOW + 1) * 1000 };
    expect(liveness(viewOf(running(5, 0), { link }), NOW + 3_600).status).toBe('running');
  });

  it('has words for the rest', () => {
    expect(liveness(viewOf({ ...running(5, 90), lost: true }), NOW).status).toBe('lost');
    expect(liveness(viewOf({ status: 'error', error: 'out of memory\nat line 3' }), NOW)).toEqual({
      status: 'error',
      text: 'out of memory',
    });
    expect(liveness(viewOf({ status: 'paused' }), NOW).status).toBe('paused');
    expect(liveness(viewOf({ status: 'completed', lost: true }), NOW).status).toBe('completed');
  });
});

describe('progress', () => {
  it('is the share of all models’ steps', () => {
    const at = (values: Record<string, number>): State => {
      const metrics = Object.entries(values).map(([name, value]) => [name, [value, [1, 'p', 1]]] as const);
      return { ...emptyState(), metrics: new Map(metrics) };
    };
    const place = { currentStep: 450, currentModel: 2 };
    expect(progressShare(at({ ...place, totalSteps: 1000, totalModels: 3 }))).toBeCloseTo(1450 / 3000);
    expect(progressShare(at({ ...place, totalSteps: 1000 }))).toBeCloseTo(1450 / 2000);
    // The contract's default of 1,000 steps is nobody's word.
    expect(progressShare(at(place))).toBeNaN();
    expect(progressShare(at({ totalSteps: 0 }))).toBeNaN();
    expect(progressShare({ ...emptyState(), status: 'completed' })).toBe(1);
  });

  it('has an estimate only of what runs', () => {
    const { state: unbounded } = viewOf(running(5, 0));
    expect(timeLeft(unbounded)).toBeNull();
    const state = { ...unbounded, metrics: new Map([...unbounded.metrics, ['totalSteps', [1000, [1, 'p', 1]]]] as const) };
    expect(timeLeft(state)?.stepsPerSecond).toBeCloseTo(5);
    expect(timeLeft({ ...state, status: 'paused' })).toBeNull();
  });
});
