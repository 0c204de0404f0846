import type { Layout, PlotData, PlotRelayoutEvent } from 'plotly.js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { MetricChart } from './metricchart';
import type { Plotly } from './plotly';
import { metric, RUNNING, viewOf, ViewSource } from './testing';
import type { Lens, LinePoints, StepRange } from '../stream';

const LOSS = { metric: 'loss', logY: false };

type Heard = (event: PlotRelayoutEvent) => void;

/** What Plotly was asked to draw, and for which elements it still keeps anything. */
class TestPlotly {
  readonly drawn: Partial<Layout>[] = [];
  readonly kept = new Set<unknown>();
  readonly moved: PlotRelayoutEvent[] = [];
  data: Partial<PlotData>[] = [];
  heard: Heard | null = null;
  readonly plotly = {
    react: (plot: unknown, data: Partial<PlotData>[], layout: Partial<Layout>) => {
      this.kept.add(plot);
      this.drawn.push(layout);
      this.data = data;
      return Promise.resolve({ on: (_: string, heard: Heard) => { this.heard = heard; } });
    },
    relayout: (_: unknown, change: PlotRelayoutEvent) => {
      this.moved.push(change);
      this.heard?.(change);
      return Promise.resolve();
    },
    purge: (plot: unknown) => {
      this.kept.delete(plot);
    },
  } as unknown as Plotly;
}

/** Counts what observes the page. */
function countObservers(): { count: number } {
  const observing = { count: 0 };
  for (const kind of ['IntersectionObserver', 'ResizeObserver', 'MutationObserver']) {
    vi.stubGlobal(kind, class {
      observe(): void {
        observing.count += 1;
      }
      disconnect(): void {
        observing.count -= 1;
      }
    });
  }
  return observing;
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

it('draws what comes, at most five times a second', async () => {
  const [source, drawing] = [new ViewSource(viewOf(RUNNING)), new TestPlotly()];
  const chart = new MetricChart(document.body, { stream: source, shown: LOSS, plotly: () => Promise.resolve(drawing.plotly) });
  for (let version = 0; version < 100; version += 1) {
    source.next(viewOf(RUNNING, { version }));
    await vi.advanceTimersByTimeAsync(20);
  }
  expect(drawing.drawn.length).toBeGreaterThan(5);
  expect(drawing.drawn.length).toBeLessThanOrEqual(10);
  expect(document.body.textContent).toContain('cognate-7 · running');
  chart.end();
});

it('shows another metric, on another scale, when told to', async () => {
  const [source, drawing] = [new ViewSource(viewOf(RUNNING)), new TestPlotly()];
  const chart = new MetricChart(document.body, { stream: source, shown: LOSS, plotly: () => Promise.resolve(drawing.plotly) });
  await vi.advanceTimersByTimeAsync(300);
  chart.show({ metric: 'accuracy', logY: true });
  await vi.advanceTimersByTimeAsync(300);
  expect(drawing.drawn.at(-1)?.yaxis).toMatchObject({ title: { text: 'accuracy' }, type: 'log' });
  expect(document.querySelector('[role="img"]')?.getAttribute('aria-label')).toBe('accuracy of cognate-7 by step');
  chart.end();
});

it('is as wide as its room, which changes', async () => {
  const resized: (() => void)[] = [];
  vi.stubGlobal('ResizeObserver', class {
    constructor(listener: () => void) {
      resized.push(listener);
    }
    observe(): void {
      return undefined;
    }
    disconnect(): void {
      return undefined;
    }
  });
  const width = vi.spyOn(HTMLElement.prototype, 'clientWidth', 'get').mockReturnValue(900);
  const [source, drawing] = [new ViewSource(viewOf(RUNNING)), new TestPlotly()];
  const chart = new MetricChart(document.body, { stream: source, shown: LOSS, plotly: () => Promise.resolve(drawing.plotly) });
  await vi.advanceTimersByTimeAsync(300);
  width.mockReturnValue(400);
  for (const tell of resized) tell();
  await vi.advanceTimersByTimeAsync(300);
  expect(drawing.drawn.map((layout) => layout.width)).toEqual([900, 400]);
  chart.end();
});

it('says why it can’t be drawn, and tries again when the way is back', async () => {
  const offline = viewOf(RUNNING, { link: { transport: null, reason: 'no answer', offlineSince: 1 } });
  const [source, drawing] = [new ViewSource(offline), new TestPlotly()];
  const plotly = vi.fn<() => Promise<Plotly>>();
  plotly.mockRejectedValueOnce(new Error('no way')).mockResolvedValueOnce(drawing.plotly);
  const chart = new MetricChart(document.body, { stream: source, shown: LOSS, plotly });
  await vi.advanceTimersByTimeAsync(300);
  expect(document.body.textContent).toBe('The chart can’t be drawn: No way. The training goes on.');
  source.next(offline);
  source.next(viewOf(RUNNING));
  source.next(viewOf(RUNNING));
  await vi.advanceTimersByTimeAsync(300);
  expect(plotly).toHaveBeenCalledTimes(2);
  expect(drawing.drawn.length).toBe(1);
  chart.end();
});

it('leaves nothing behind, a hundred times, whether plotly.js came before its end or after', async () => {
  const observing = countObservers();
  const [source, drawing] = [new ViewSource(viewOf(RUNNING)), new TestPlotly()];
  const signals: AbortSignal[] = [];
  for (let time = 0; time < 100; time += 1) {
    const plotly = async (gone: AbortSignal): Promise<Plotly> => {
      signals.push(gone);
      if (time % 2 === 1) await new Promise((come) => setTimeout(come, 400));
      return drawing.plotly;
    };
    const chart = new MetricChart(document.body, { stream: source, shown: LOSS, plotly });
    source.next(viewOf(RUNNING, { version: time }));
    await vi.advanceTimersByTimeAsync(250);
    source.next(viewOf(RUNNING, { version: time }));
    expect(observing.count).toBe(3);
    chart.end();
    expect(observing.count).toBe(0);
  }
  await vi.advanceTimersByTimeAsync(1_000);
  expect(drawing.drawn.length).toBe(50);
  expect(drawing.kept.size).toBe(0);
  expect(source.listeners.size).toBe(0);
  expect(signals.every(({ aborted }) => aborted)).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
  expect(document.body.childElementCount).toBe(0);
});

/** A session at a step, of a thousand or of nobody knows how many. */
function viewAt(step: number, total: number | null = 1_000): ReturnType<typeof viewOf> {
  const all = total === null ? {} : { totalSteps: metric(total) };
  return viewOf({ ...RUNNING, metrics: { loss: metric(1), currentStep: metric(step), ...all } });
}

describe('zooming', () => {
  let [drawing, chart, source] = [new TestPlotly(), null as MetricChart | null, new ViewSource(viewAt(450))];
  let looked: (StepRange | undefined)[] = [];
  const lens = {
    onFiner: null as (() => void) | null,
    lines: (): readonly LinePoints[] => [{ metric: 'loss', model: 1, steps: [1, 2], values: [3, 4] }],
    look: (_: string, range?: StepRange) => { looked.push(range); },
    rest: vi.fn(),
    close: vi.fn(),
  };

  async function open(view = viewAt(450)): Promise<void> {
    [drawing, source] = [new TestPlotly(), new ViewSource(view)];
    const openLens = (): Promise<Lens> => Promise.resolve(lens as unknown as Lens);
    const plotly = (): Promise<Plotly> => Promise.resolve(drawing.plotly);
    chart = new MetricChart(document.body, { stream: source, openLens, shown: LOSS, plotly });
    await vi.advanceTimersByTimeAsync(500);
  }

  afterEach(() => {
    chart?.end();
    looked = [];
  });

  it('looks closely at what Plotly was zoomed to, and says what that is', async () => {
    await open();
    expect([looked.at(-1), drawing.data[0]?.x]).toEqual([undefined, [1, 2]]);
    drawing.heard?.({ 'xaxis.range[0]': 100, 'xaxis.range[1]': 200 });
    await vi.advanceTimersByTimeAsync(300);
    expect(looked.at(-1)).toEqual({ from: 100, to: 200, follows: false });
    expect(document.body.textContent).toContain(' · steps 100–200 · show all');
    drawing.heard?.({ 'yaxis.range[0]': 1, 'yaxis.range[1]': 2 });
    await vi.advanceTimersByTimeAsync(300);
    expect(document.body.textContent).toContain('steps 100–200');
    drawing.heard?.({ 'xaxis.autorange': true });
    await vi.advanceTimersByTimeAsync(300);
    expect(looked.at(-1)).toBeUndefined();
    expect(document.body.textContent).not.toContain('show all');
  });

  it.each([
    [1_000, { 'xaxis.range': [0, 1_000], 'yaxis.autorange': true }],
    [null, { 'xaxis.autorange': true, 'yaxis.autorange': true }],
  ])('shows all of %s steps when told to', async (total, change) => {
    await open(viewAt(450, total));
    drawing.heard?.({ 'xaxis.range': [100, 200] });
    await vi.advanceTimersByTimeAsync(300);
    document.querySelector('button')?.click();
    await vi.advanceTimersByTimeAsync(300);
    expect(drawing.moved).toEqual([change]);
    expect(document.body.textContent).not.toContain('show all');
  });

  it('moves along with the newest step, and begins anew with another metric', async () => {
    await open();
    drawing.heard?.({ 'xaxis.range': [400, 500] });
    source.next(viewAt(520));
    await vi.advanceTimersByTimeAsync(300);
    expect(drawing.moved).toEqual([{ 'xaxis.range': [420, 520] }]);
    expect(looked.at(-1)).toEqual({ from: 420, to: Infinity });
    chart?.show({ ...LOSS, metric: 'accuracy' });
    await vi.advanceTimersByTimeAsync(300);
    expect(looked.at(-1)).toBeUndefined();
  });

  it('draws what is known at once, and again when something finer has come', async () => {
    await open();
    const before = drawing.drawn.length;
    lens.onFiner?.();
    await vi.advanceTimersByTimeAsync(300);
    expect(drawing.drawn.length).toBe(before + 1);
  });
});
