import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Dashboard } from './Dashboard';
import { metric, NOW_S, press, rendered, RUNNING, ViewSource, viewOf, type Rendered } from './testing';
import type { SessionView } from '../stream';

let open: Rendered[] = [];

function show(view: SessionView): HTMLElement & { readonly source: ViewSource } {
  const source = new ViewSource(view);
  const shown = rendered(<Dashboard stream={source} />);
  open.push(shown);
  return Object.assign(shown.host, { source });
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW_S * 1000, toFake: ['Date', 'setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  for (const shown of open) shown.unmount();
  open = [];
  vi.useRealTimers();
});

const OFFLINE = { transport: null, reason: 'no answer', offlineSince: NOW_S * 1000 } as const;

const STATES: Readonly<Record<string, SessionView>> = {
  connecting: viewOf({}, { loaded: false, link: { transport: null, reason: '', offlineSince: null } }),
  'offline from the start': viewOf({}, { loaded: false, link: OFFLINE }),
  waiting: viewOf({}),
  running: viewOf(RUNNING),
  slow: viewOf({ ...RUNNING, steppedAt: NOW_S - 8, pace: RUNNING.pace.map(([at = 0, steps]) => [at - 8, steps]) }),
  stalled: viewOf({ ...RUNNING, steppedAt: NOW_S - 41, pace: RUNNING.pace.map(([at = 0, steps]) => [at - 41, steps]) }),
  paused: viewOf({ ...RUNNING, status: 'paused' }),
  completed: viewOf({ ...RUNNING, status: 'completed' }),
  error: viewOf({ ...RUNNING, status: 'error', error: 'CUDA out of memory' }),
  lost: viewOf({ ...RUNNING, lost: true }),
  offline: viewOf(RUNNING, { link: OFFLINE }),
  polling: viewOf(RUNNING, { link: { transport: 'http', reason: 'the WebSocket was refused', offlineSince: null } }),
  kernel: viewOf(RUNNING, { link: { transport: 'comm', reason: 'this server keeps another store', offlineSince: null } }),
  deleted: viewOf(RUNNING, { deleted: true }),
  unsaved: viewOf(RUNNING, { unsaved: 12, unsavedReason: 'disk full' }),
  gap: viewOf(RUNNING, { gap: true }),
  thinned: viewOf({ ...RUNNING, thinned: 1234 }),
  trimmed: viewOf(RUNNING, { trimmed: 4321 }),
};

describe('the states of a session', () => {
  it('are told apart by words alone', () => {
    const texts = Object.values(STATES).map((view) => show(view).textContent);
    expect(new Set(texts).size).toBe(texts.length);
  });

  it.each([
    ['waiting', 'Waiting for cognate-7… nothing recorded yet.'],
    ['connecting', 'Looking for cognate-7…'],
    ['stalled', 'no step for 41 s'],
    ['error', 'CUDA out of memory'],
    ['lost', 'Connection to the training lost.'],
    ['offline', 'showing what is known. No answer.'],
    ['polling', 'The WebSocket was refused.'],
    ['kernel', 'This server keeps another store.'],
    ['unsaved', '12 steps and events are not saved yet. Disk full.'],
    ['gap', 'thinned'],
    ['thinned', '1,234 steps came faster'],
    ['trimmed', '4,321 earlier steps were trimmed'],
    ['deleted', 'was deleted'],
  ])('%s says "%s"', (name, words) => {
    const view = STATES[name];
    if (view === undefined) throw new Error(name);
    expect(show(view).textContent).toContain(words);
  });

  it('have a shape each, so that colour is never needed', () => {
    const kinds = ['connecting', 'waiting', 'running', 'slow', 'stalled', 'paused', 'completed', 'error', 'lost', 'deleted'];
    const shapes = kinds.map((name) => {
      const view = STATES[name];
      return view === undefined ? null : show(view).querySelector('.forge-mark path')?.getAttribute('d');
    });
    expect(new Set(shapes).size).toBe(kinds.length);
  });
});

describe('a training that ended before all was saved', () => {
  it('is not said to go on, nor to be run again: what waits on its machine may be its end', () => {
    const said = show(viewOf({ ...RUNNING, lost: true }, { unsaved: 12, unsavedReason: 'they wait elsewhere' })).textContent;
    expect(said).toContain('12 steps and events are not saved yet. They wait elsewhere.');
    expect(said).not.toContain('Training goes on');
    expect(said).not.toContain('Run it again');
  });
});

describe('progress', () => {
  it('is a progress bar that says its value, the time left and the pace', () => {
    const bar = show(viewOf(RUNNING)).querySelector('[role=progressbar]');
    expect(bar?.getAttribute('aria-valuenow')).toBe('48');
    expect(bar?.getAttribute('aria-valuetext')).toBe('48 %, ~ 39 s, 40 steps/s');
  });

  it('has no value where no total is known', () => {
    const host = show(viewOf({ ...RUNNING, metrics: { currentStep: metric(12), loss: metric(1) } }));
    expect(host.querySelector('[role=progressbar]')?.hasAttribute('aria-valuenow')).toBe(false);
    expect(host.textContent).toContain('step 12');
  });

  it('names phases and models, and which one is being trained', () => {
    const items = [...show(viewOf(RUNNING)).querySelectorAll('.forge-models li')];
    expect(items.map(({ textContent }) => textContent.replace(/[✓▸·]/g, ' '))).toEqual([
      'initialization  completed',
      'model 1 completedloss 0.021',
      'model 2 loss 0.184',
      'model 3 ',
    ]);
    expect(items.map((item) => item.getAttribute('aria-current'))).toEqual([null, null, 'step', null]);
  });

  it('stays readable with hundreds of models', () => {
    const metrics = { ...RUNNING.metrics, totalModels: metric(500), currentModel: metric(250) };
    const host = show(viewOf({ ...RUNNING, metrics }));
    expect(host.querySelectorAll('.forge-models li').length).toBeLessThan(20);
    expect(host.textContent).toContain('500 models in all');
  });
});

describe('tiles', () => {
  it('show value and best, and a dash for what was not recorded', () => {
    const metrics = { loss: metric(0.184), currentModel: metric(2), currentStep: metric(9) };
    const tiles = [...show(viewOf({ ...RUNNING, metrics })).querySelectorAll('.forge-tile')];
    expect(tiles.map(({ textContent }) => textContent.trim())).toEqual([
      'loss0.184best 0.2222',
      'perplexity–',
      'accuracy–',
      'grok progress–',
    ]);
  });

  it('say what is no number', () => {
    const host = show(viewOf({ ...RUNNING, metrics: { ...RUNNING.metrics, loss: metric('NaN') } }));
    expect(host.querySelector('.forge-tile-bad')?.textContent).toBe('NaN');
  });
});

describe('the chart', () => {
  it('draws a line for each model and says in words what it shows', () => {
    const host = show(viewOf(RUNNING));
    const drawing = host.querySelector('.forge-plot-lines');
    expect(drawing?.getAttribute('role')).toBe('img');
    expect(drawing?.getAttribute('aria-label')).toBe('loss by step: model 1 from 2 to 0.1, model 2 from 2 to 0.2222');
    expect(host.querySelectorAll('.forge-plot-lines g').length).toBe(2);
  });

  it('changes its axis and its smoothing by buttons that say their state', () => {
    const host = show(viewOf(RUNNING));
    const path = (): string | null | undefined => host.querySelector('.forge-line')?.getAttribute('d');
    const linear = path();
    press(host, 'log');
    expect(path()).not.toBe(linear);
    expect(host.querySelector('[aria-pressed=true]')?.textContent).toBe('log');
    expect(host.querySelectorAll('.forge-line-raw').length).toBe(2);
    press(host, 'smooth');
    expect(host.querySelectorAll('.forge-line-raw').length).toBe(0);
  });
});

describe('what users wrote', () => {
  it('is text, never markup', () => {
    const evil = '<img src=x onerror=alert(1)>';
    const metrics = { ...RUNNING.metrics, [evil]: metric(1) };
    const host = show(viewOf({ ...RUNNING, status: 'error', error: evil, metrics, phases: [{ name: evil, completedAt: 1 }] }));
    expect(host.querySelector('img')).toBeNull();
    expect(host.textContent.split(evil).length).toBeGreaterThan(3);
  });

  it('is shown in full when asked for', () => {
    const host = show(viewOf({ ...RUNNING, status: 'error', error: 'first\nTraceback: second' }));
    expect(host.textContent).not.toContain('second');
    press(host, 'show more');
    expect(host.textContent).toContain('second');
    expect(host.querySelector('[aria-expanded=true]')?.textContent).toBe('show less');
  });
});

describe('the live region', () => {
  it('is one, polite, and says changes of state but not steps', () => {
    const host = show(viewOf(RUNNING));
    const region = host.querySelector('[role=status]');
    expect(host.querySelectorAll('[role=status], [aria-live]').length).toBe(1);
    const before = region?.textContent;
    host.source.next(viewOf({ ...RUNNING, metrics: { ...RUNNING.metrics, currentStep: metric(451) } }, { version: 2 }));
    expect(host.textContent).toContain('step 451');
    expect(region?.textContent).toBe(before);
    host.source.next(viewOf({ ...RUNNING, status: 'completed' }, { version: 3 }));
    expect(region?.textContent).toBe('cognate-7: completed.');
  });
});

it('lets go of everything when it is taken away', () => {
  const source = new ViewSource(viewOf(RUNNING));
  for (let time = 0; time < 100; time += 1) rendered(<Dashboard stream={source} />).unmount();
  expect(source.listeners.size).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
  expect(document.body.childElementCount).toBe(0);
});
