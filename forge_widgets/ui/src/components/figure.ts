// A session's metric as a Plotly figure: one line a model, raw behind smoothed, in the colours of the page. Pure but for
// `themeOf`, which reads the page's colours. Called by the chart.
import type { Config, Data, Layout, PlotData } from 'plotly.js';

import { SMOOTHING, smoothed } from './curve';
import { metricLabel } from './metricwords';
import { PALETTE_SIZE } from './palette';
import { metricValue, stretches, type LinePoints, type SessionView, type State } from '../stream';

/** The colours of a page. */
export interface Theme {
  readonly text: string;
  readonly rule: string;
  readonly surface: string;
  readonly font: string;
  /** The models' colours, in the order of the palette. */
  readonly models: readonly string[];
}

/** What a chart shows of a session. */
export interface Shown {
  readonly metric: string;
  /** Whether the axis of values is logarithmic. */
  readonly logY: boolean;
}

/** What Plotly is given. */
export interface Figure {
  readonly data: Data[];
  readonly layout: Partial<Layout>;
  readonly config: Partial<Config>;
}

const DASHES = ['solid', 'dash', 'dot', 'dashdot'] as const;

/** Build the figure of a metric as it is now; `lines` where more is known of it than the view holds. */
export function figureOf(
  view: SessionView,
  { metric, logY }: Shown,
  theme: Theme,
  lines: readonly LinePoints[] = view.series.points(metric),
): Figure {
  return {
    data: lines.flatMap((line) => tracesOf(line, theme)),
    layout: layoutOf(view, { metric, logY }, theme),
    config: { displaylogo: false, modeBarButtonsToRemove: ['select2d', 'lasso2d'] },
  };
}

/** Read the colours that the page gives an element. */
export function themeOf(element: HTMLElement): Theme {
  const style = getComputedStyle(element);
  // A variable is read as it is written, light-dark() and all: only a property has the colour that comes of it.
  const probe = element.ownerDocument.createElement('span');
  element.append(probe);
  const read = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const theme = {
    text: read('--forge-text'),
    rule: read('--forge-rule'),
    surface: read('--forge-surface'),
    font: style.fontFamily,
    models: Array.from({ length: PALETTE_SIZE }, (_, index) => read(`--forge-model-${index}`)),
  };
  probe.remove();
  return theme;
}

function tracesOf(line: LinePoints, theme: Theme): Data[] {
  const { model, steps, values } = line;
  const color = theme.models[(model - 1) % PALETTE_SIZE] ?? theme.text;
  const dash = DASHES[Math.floor((model - 1) / PALETTE_SIZE) % DASHES.length] ?? 'solid';
  const shared: Partial<PlotData> = { type: 'scatter', mode: 'lines', x: [...steps], legendgroup: `model ${model}` };
  return [
    { ...shared, y: [...values], line: { color, width: 1, dash }, opacity: 0.3, showlegend: false, hoverinfo: 'skip' },
    {
      ...shared,
      y: stretches(line).flatMap((part) => smoothed(part.values, SMOOTHING)),
      customdata: [...values],
      name: `model ${model}`,
      line: { color, width: 2, dash },
      hovertemplate: `step %{x:,}: %{customdata:.4g}<extra>model ${model}</extra>`,
    },
  ];
}

function layoutOf({ sessionId, state }: SessionView, { metric, logY }: Shown, theme: Theme): Partial<Layout> {
  const total = totalOf(state);
  const axis = { gridcolor: theme.rule, zerolinecolor: theme.rule, automargin: true };
  return {
    // A new key would throw away where somebody has zoomed to.
    uirevision: `${sessionId} ${metric} ${logY ? 'log' : 'linear'}`,
    height: 320,
    margin: { l: 48, r: 12, t: 8, b: 36 },
    paper_bgcolor: 'rgba(0,0,0,0)',
    plot_bgcolor: 'rgba(0,0,0,0)',
    font: { family: theme.font, color: theme.text, size: 12 },
    hoverlabel: { bgcolor: theme.surface, font: { color: theme.text } },
    legend: { orientation: 'h', y: 1.02, yanchor: 'bottom' },
    xaxis: { ...axis, title: { text: 'step' }, tickformat: ',', ...(total > 0 ? { range: [0, total] } : {}) },
    yaxis: { ...axis, title: { text: plain(metricLabel(metric)) }, type: logY ? 'log' : 'linear' },
  };
}

/** Return how many steps there are to be; 0 where nobody said. */
export function totalOf(state: State): number {
  return state.metrics.has('totalSteps') ? metricValue(state, 'totalSteps') : 0;
}

/** Write text that Plotly would else read as markup, links included: a metric's name is a user's. */
function plain(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
