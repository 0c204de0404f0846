// Zooming in the dashboard's chart: by pointer, by finger and by keyboard, and what is asked for meanwhile.
import { flushSync } from 'react-dom';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Dashboard } from './Dashboard';
import { metric, press, rendered, RUNNING, ViewSource, viewOf, type Rendered } from './testing';
import type { Lens, LinePoints, SessionView, StepRange } from '../stream';
import { Series } from '../stream/series';

const WIDTH = 1_000;

/** A lens that notes what is looked at, and has finer curves once it is told. */
class TestLens {
  readonly looked: [metric: string, range: StepRange | undefined][] = [];
  rested = 0;
  closed = 0;
  finer: readonly LinePoints[] = [];
  onFiner: (() => void) | null = null;

  look(name: string, range?: StepRange): void {
    this.looked.push([name, range]);
  }

  lines(): readonly LinePoints[] {
    return this.finer;
  }

  rest(): void {
    this.rested += 1;
  }

  close(): void {
    this.closed += 1;
  }
}

let shown: Rendered;
let source: ViewSource;
let lens: TestLens;
let opened: number;

/** A session of one model, at a step of a thousand. */
function viewAt(step: number, fields: Partial<SessionView> = {}): SessionView {
  const steps = Array.from({ length: step / 10 + 1 }, (_, index) => index * 10);
  const series = new Series();
  series.load([{ metric: 'loss', model: 1, steps, values: steps.map((at) => 1 + 1 / (at + 1)) }], step);
  const metrics = { loss: metric(1), currentStep: metric(step), totalSteps: metric(1_000) };
  return viewOf({ ...RUNNING, metrics, rows: step }, { series, ...fields });
}

const openLens = (): Promise<Lens> => {
  opened += 1;
  return Promise.resolve(lens as unknown as Lens);
};

beforeEach(() => {
  vi.spyOn(HTMLElement.prototype, 'getBoundingClientRect').mockReturnValue(new DOMRect(0, 0, WIDTH, 200));
  vi.spyOn(HTMLElement.prototype, 'clientWidth', 'get').mockReturnValue(WIDTH);
  HTMLElement.prototype.setPointerCapture = () => undefined;
  opened = 0;
  lens = new TestLens();
  lens.finer = [{ metric: 'loss', model: 1, steps: [0, 250, 500], values: [2, 1.5, 1] }];
  source = new ViewSource(viewAt(500));
  shown = rendered(<Dashboard stream={source} openLens={openLens} />);
});

afterEach(() => {
  shown.unmount();
  expect(lens.closed).toBe(opened);
});

function plot(): HTMLElement {
  const area = shown.host.querySelector<HTMLElement>('.forge-plot-area');
  if (area === null) throw new Error('there is no plot');
  return area;
}

function pointer(type: string, x: number, init: PointerEventInit = {}): void {
  flushSync(() => {
    plot().dispatchEvent(new PointerEvent(type, { bubbles: true, clientX: x, pointerType: 'mouse', button: 0, ...init }));
  });
}

function drag(from: number, to: number, init: PointerEventInit = {}): void {
  pointer('pointerdown', from, init);
  pointer('pointermove', to, init);
  pointer('pointerup', to, init);
}

/** Press a key in the chart; says whether it went on to the page. */
function key(name: string, init: KeyboardEventInit = {}): boolean {
  const event = new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true, ...init });
  let passed = false;
  const hear = (): void => {
    passed = true;
  };
  document.addEventListener('keydown', hear);
  flushSync(() => {
    plot().dispatchEvent(event);
  });
  document.removeEventListener('keydown', hear);
  return passed;
}

/** What the chart says of its steps; "" where it shows all. */
function said(): string {
  return shown.host.querySelector('.forge-zoomed > span')?.textContent ?? '';
}

function labels(): string[] {
  return [...shown.host.querySelectorAll('.forge-x-labels span')].map(({ textContent }) => textContent);
}

describe('a pointer', () => {
  it('drags along the steps that are to be shown, and a button shows all again', async () => {
    pointer('pointerdown', 200);
    pointer('pointermove', 300);
    await vi.waitFor(() => { expect(parseFloat(shown.host.querySelector<HTMLElement>('.forge-band')?.style.width ?? '')).toBeCloseTo(10); });
    pointer('pointerup', 300);
    expect(shown.host.querySelector('.forge-band')).toBeNull();
    expect(said()).toBe('steps 200–300 ·');
    expect(labels()).toEqual(['200', '220', '240', '260', '280', '300']);
    press(shown.host, 'show all');
    expect(said()).toBe('');
    expect(document.activeElement).toBe(plot());
  });

  it('drags to the left as well, and beyond the end no further than that', () => {
    drag(300, 200);
    expect(said()).toBe('steps 200–300 ·');
    drag(900, 2_000);
    expect(said()).toBe('steps 290–300 ·');
  });

  it('zooms by no click, no other button, and nothing that is broken off', () => {
    drag(200, 202);
    drag(200, 400, { button: 2 });
    pointer('pointerdown', 200);
    pointer('pointercancel', 300);
    pointer('pointerup', 400);
    expect(said()).toBe('');
  });

  it('zooms in by a double click, and out by the next', () => {
    pointer('dblclick', 400);
    expect(said()).toBe('steps 300–550 ·');
    pointer('dblclick', 400);
    expect(said()).toBe('');
  });

  it('that is a finger reads', async () => {
    drag(200, 400, { pointerType: 'touch' });
    expect(said()).toBe('');
    await vi.waitFor(() => { expect(shown.host.querySelector('.forge-readout')?.textContent).toContain('step400'); });
  });
});

describe('the keyboard', () => {
  it('zooms in and out where the read-out stands', () => {
    expect(key('+')).toBe(false);
    expect(said()).toBe('steps 250–750 ·');
    for (let time = 0; time < 10; time += 1) key('ArrowLeft');
    key('=');
    expect(said()).toBe('steps 325–575 ·');
    key('-');
    expect(said()).toBe('steps 250–750 ·');
    key('-');
    expect(said()).toBe('');
  });

  it('moves the steps along where the read-out stands at the edge', () => {
    key('+');
    for (let time = 0; time < 25; time += 1) key('ArrowRight');
    expect(said()).toBe('steps 250–750 ·');
    key('ArrowRight');
    expect(said()).toBe('steps 375–875 ·');
    key('ArrowRight');
    key('ArrowRight');
    expect(said()).toBe('steps 500–1,000 ·');
  });

  it.each(['Escape', 'Home', '0'])('shows all by %s, and keeps that from the page', (name) => {
    key('+');
    expect(key(name)).toBe(false);
    expect(said()).toBe('');
    expect(shown.host.querySelector('.forge-readout')).toBeNull();
  });

  it('leaves every other key to the page', () => {
    expect(key('a')).toBe(true);
    expect(key('0', { ctrlKey: true })).toBe(true);
    expect(key('+', { metaKey: true })).toBe(true);
    expect(said()).toBe('');
  });
});

describe('what is shown', () => {
  it('stays where it is in the past, and moves along with the newest step', () => {
    drag(100, 200);
    source.next(viewAt(600, { version: 2 }));
    expect(said()).toBe('steps 100–200 ·');
    press(shown.host, 'show all');
    drag(550, 650);
    source.next(viewAt(700, { version: 3 }));
    expect(said()).toBe('steps 600–700 ·');
  });

  it('fills the axis of values', () => {
    const values = (): string[] => [...shown.host.querySelectorAll('.forge-y-labels span')].map(({ textContent }) => textContent);
    expect(values()).toContain('2');
    drag(200, 300);
    expect(values()).not.toContain('2');
    expect(Number(values()[0])).toBeGreaterThan(1);
  });

  it('is looked at closely, and drawn finer once more is known', async () => {
    await vi.waitFor(() => { expect(opened).toBe(1); });
    await vi.waitFor(() => { expect(lens.looked).toContainEqual(['loss', undefined]); });
    drag(200, 300);
    expect(lens.looked.at(-1)).toEqual(['loss', { from: 200, to: 300, follows: false }]);
    drag(0, 1_000);
    key('Escape');
    const before = shown.host.querySelector('.forge-line-raw')?.getAttribute('d');
    lens.finer = [{ metric: 'loss', model: 1, steps: [0, 5, 10], values: [2, 1.5, 1] }];
    flushSync(() => lens.onFiner?.());
    expect(shown.host.querySelector('.forge-line-raw')?.getAttribute('d')).not.toBe(before);
  });
});

it('opens no lens on a short session, and does without one that can’t be had', async () => {
  const short = rendered(<Dashboard stream={new ViewSource(viewAt(100))} openLens={openLens} />);
  const refused = vi.fn<() => Promise<Lens>>().mockRejectedValue(new Error('none'));
  const without = rendered(<Dashboard stream={new ViewSource(viewAt(500))} openLens={refused} />);
  await vi.waitFor(() => { expect(refused).toHaveBeenCalledTimes(1); });
  expect(opened).toBe(1);
  expect(without.host.querySelector('.forge-line')?.getAttribute('d')).not.toBe('');
  short.unmount();
  without.unmount();
});

it('closes a lens that comes after its chart has gone', async () => {
  const late = new TestLens();
  let come: (lens: Lens) => void = () => undefined;
  const gone = rendered(<Dashboard stream={new ViewSource(viewAt(500))} openLens={() => new Promise((resolve) => { come = resolve; })} />);
  gone.unmount();
  come(late as unknown as Lens);
  await vi.waitFor(() => { expect(late.closed).toBe(1); });
});
