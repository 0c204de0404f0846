import { describe, expect, it } from 'vitest';

import { metric, NOW_S, RUNNING, viewOf } from '../components/testing';
import { NOTHING, ProgressTeller } from './progress';

const OPEN = { transport: 'websocket', reason: '', offlineSince: null } as const;

describe('metrics', () => {
  it('are null before the first update', () => {
    expect(new ProgressTeller().tell(viewOf({}), 0)).toMatchObject({ metrics: null, status: 'waiting', error: null });
  });

  it('are the nine, and the user’s own, by the contract’s names', () => {
    const metrics = { ...RUNNING.metrics, tokens: metric(12) };
    expect(new ProgressTeller().tell(viewOf({ ...RUNNING, metrics }), 0).metrics).toEqual({
      loss: 0.184,
      perplexity: 1.202,
      grokProgress: 45,
      currentStep: 450,
      totalSteps: 1000,
      currentModel: 2,
      totalModels: 3,
      learningRate: 0.001,
      accuracy: 0.42,
      tokens: 12,
    });
  });

  it('are null where they are not finite, and it is said what they were', () => {
    const metrics = { loss: metric('NaN'), reward: metric('-Infinity') };
    const progress = new ProgressTeller().tell(viewOf({ ...RUNNING, metrics }), 0);
    expect(progress.metrics).toMatchObject({ loss: null, reward: null });
    expect(progress.nonfinite).toEqual({ loss: 'NaN', reward: '-Infinity' });
  });

  it('stay when a server that forgot all has nothing to say yet', () => {
    const teller = new ProgressTeller();
    const { metrics, status } = teller.tell(viewOf(RUNNING), 0);
    expect(teller.tell(viewOf({}), 1)).toMatchObject({ metrics, status });
  });
});

it('is the same object until something of it changes', () => {
  const teller = new ProgressTeller();
  const view = viewOf(RUNNING);
  const progress = teller.tell(view, 0);
  expect(teller.tell({ ...view, version: 2, clockOffset: 3 }, 5)).toBe(progress);
  const offline = teller.tell({ ...view, link: { transport: null, reason: 'no answer', offlineSince: 7 } }, 9);
  expect(offline).not.toBe(progress);
  expect(offline.metrics).toBe(progress.metrics);
});

it('an error is there while the training stands at it', () => {
  const teller = new ProgressTeller();
  expect(teller.tell(viewOf({ ...RUNNING, status: 'error', error: 'oh' }), 0).error).toBe('oh');
  expect(teller.tell(viewOf(RUNNING), 0).error).toBeNull();
});

describe('the connection', () => {
  it('says since when it is as it is', () => {
    const teller = new ProgressTeller();
    const view = viewOf(RUNNING);
    const at = (link: typeof view.link, now: number): unknown => teller.tell({ ...view, link }, now).connection;
    expect(NOTHING.connection).toEqual({ transport: 'idle', reason: '', since: null });
    expect(at({ transport: null, reason: '', offlineSince: null }, 1)).toEqual({ transport: 'connecting', reason: '', since: 1 });
    expect(at(OPEN, 2)).toEqual({ transport: 'websocket', reason: '', since: 2 });
    expect(at({ ...OPEN, transport: 'http', reason: 'blocked' }, 3)).toEqual({ transport: 'http', reason: 'blocked', since: 3 });
    expect(at({ ...OPEN, transport: 'http', reason: 'refused' }, 4)).toEqual({ transport: 'http', reason: 'refused', since: 3 });
    expect(at({ transport: null, reason: 'gone', offlineSince: NOW_S }, 5)).toEqual({ transport: 'offline', reason: 'gone', since: NOW_S });
  });

  it('says that a session was deleted', () => {
    const link = { transport: null, reason: 'this session was deleted', offlineSince: 3 };
    expect(new ProgressTeller().tell(viewOf(RUNNING, { deleted: true, link }), 4).connection.transport).toBe('deleted');
  });
});
