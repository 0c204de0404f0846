import type { PlotData } from 'plotly.js';
import { expect, it } from 'vitest';

import { RUNNING, viewOf } from './testing';
import { figureOf, type Shown, type Theme } from './figure';

const THEME: Theme = { text: '#111', rule: '#eee', surface: '#fff', font: 'sans-serif', models: ['#001', '#002', '#003'] };
const LOSS: Shown = { metric: 'loss', logY: false };

it('draws a line for each model, raw behind smoothed, in the model’s own colour', () => {
  const { data } = figureOf(viewOf(RUNNING), LOSS, THEME);
  const lines = data.map((trace) => [trace.name, (trace as Partial<PlotData>).line?.color]);
  expect(lines).toEqual([
    [undefined, '#001'],
    ['model 1', '#001'],
    [undefined, '#002'],
    ['model 2', '#002'],
  ]);
});

it('keeps where somebody zoomed to until the axis is another', () => {
  const [first, second, other] = [
    figureOf(viewOf(RUNNING), LOSS, THEME),
    figureOf(viewOf(RUNNING, { version: 9 }), LOSS, THEME),
    figureOf(viewOf(RUNNING), { ...LOSS, logY: true }, THEME),
  ];
  expect(second.layout.uirevision).toBe(first.layout.uirevision);
  expect(other.layout.uirevision).not.toBe(first.layout.uirevision);
  expect(other.layout.yaxis?.type).toBe('log');
});

it('is empty, and whole, for a metric that nobody recorded', () => {
  const { data, layout } = figureOf(viewOf(RUNNING), { ...LOSS, metric: 'f1' }, THEME);
  expect(data).toEqual([]);
  expect(layout.yaxis?.title).toEqual({ text: 'f1' });
});

it('writes a metric’s name as text, whatever stands in it', () => {
  const { layout } = figureOf(viewOf(RUNNING), { ...LOSS, metric: '<a href="//x">a & b</a>' }, THEME);
  expect(layout.yaxis?.title).toEqual({ text: '&lt;a href="//x"&gt;a &amp; b&lt;/a&gt;' });
});
