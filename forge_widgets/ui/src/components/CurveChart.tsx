// A chart of one metric: a line for each model over its own steps, raw behind smoothed. Draws what it is given;
// must never ask for data itself. Called by the dashboard.
import { useId, useMemo, useState, type JSX, type KeyboardEvent, type PointerEvent } from 'react';

import { axisOf, shareOf, ticksOf, valueAt, type Axis, type Tick } from './axis';
import { BOX, nearest, pathOf, smoothed, SMOOTHING, stretches, type Curve } from './curve';
import { metricLabel, metricText } from './metricwords';
import { modelClass, modelDashes } from './palette';
import { formatCount, formatNumber } from '../stream/numbers';

const Y_TICKS = 5;
const X_TICKS = 5;
/** How far an arrow key moves the read-out, as a share of the axis. */
const KEY_SHARE = 0.02;

export interface CurveChartProps {
  /** The metric that is shown, and those that may be. */
  readonly metric: string;
  readonly choices: readonly string[];
  readonly onMetric: (metric: string) => void;
  readonly curves: readonly Curve[];
  /** Where the axis of steps ends if the steps themselves end before; 0 where that is not known. */
  readonly totalSteps: number;
}

interface Drawn {
  readonly curve: Curve;
  readonly raw: string;
  readonly smooth: string;
}

/** Show the curves of a metric with a choice of metric, a logarithmic axis and smoothing. */
export function CurveChart({ metric, choices, onMetric, curves, totalSteps }: CurveChartProps): JSX.Element {
  const [log, setLog] = useState(false);
  const [smooth, setSmooth] = useState(true);
  const x = useMemo(() => stepAxis(curves, totalSteps), [curves, totalSteps]);
  const y = useMemo(() => axisOf(allValues(curves), log), [curves, log]);
  const drawn = useMemo(() => curves.map((curve) => draw(curve, x, y, smooth)), [curves, x, y, smooth]);
  return (
    <section className="forge-chart" aria-label={`${metricLabel(metric)} by step`}>
      <ChartBar metric={metric} choices={choices} onMetric={onMetric}>
        <Toggle on={log} onToggle={setLog} title="Logarithmic axis">
          log
        </Toggle>
        <Toggle on={smooth} onToggle={setSmooth} title={`Moving average of weight ${SMOOTHING} in front of the values`}>
          smooth
        </Toggle>
      </ChartBar>
      <Plot metric={metric} drawn={drawn} x={x} y={y} smooth={smooth} />
    </section>
  );
}

interface ChartBarProps {
  readonly metric: string;
  readonly choices: readonly string[];
  readonly onMetric: (metric: string) => void;
  readonly children: readonly JSX.Element[];
}

function ChartBar({ metric, choices, onMetric, children }: ChartBarProps): JSX.Element {
  const id = useId();
  return (
    <div className="forge-chart-bar">
      <label className="forge-hidden" htmlFor={id}>
        Metric of the chart
      </label>
      <select
        id={id}
        className="forge-select"
        title="Metric of the chart"
        value={metric}
        onChange={(event) => {
          onMetric(event.currentTarget.value);
        }}
      >
        {choices.map((name) => (
          <option key={name} value={name}>
            {metricLabel(name)}
          </option>
        ))}
      </select>
      {children}
    </div>
  );
}

interface ToggleProps {
  readonly on: boolean;
  readonly onToggle: (on: boolean) => void;
  readonly title: string;
  readonly children: string;
}

function Toggle({ on, onToggle, title, children }: ToggleProps): JSX.Element {
  return (
    <button
      type="button"
      className="forge-toggle"
      aria-pressed={on}
      title={title}
      onClick={() => {
        onToggle(!on);
      }}
    >
      {children}
    </button>
  );
}

interface PlotProps {
  readonly metric: string;
  readonly drawn: readonly Drawn[];
  readonly x: Axis;
  readonly y: Axis;
  readonly smooth: boolean;
}

function Plot({ metric, drawn, x, y, smooth }: PlotProps): JSX.Element {
  const [pointed, setPointed] = useState<number | null>(null);
  const point = (event: PointerEvent<HTMLElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    setPointed(box.width > 0 ? within((event.clientX - box.left) / box.width) : null);
  };
  const leave = (): void => {
    setPointed(null);
  };
  const move = ({ key }: KeyboardEvent): void => {
    const by = key === 'ArrowLeft' ? -KEY_SHARE : key === 'ArrowRight' ? KEY_SHARE : 0;
    if (by !== 0) setPointed(within((pointed ?? 0.5) + by));
    else if (key === 'Escape') leave();
  };
  const rows = ticksOf(y, Y_TICKS);
  const columns = ticksOf(x, X_TICKS);
  return (
    <div className="forge-plot">
      <YLabels axis={y} ticks={rows} />
      <div
        className="forge-plot-area"
        tabIndex={0}
        role="group"
        aria-label={`${metricLabel(metric)}, read by the arrow keys`}
        onKeyDown={move}
        onBlur={leave}
        onPointerMove={point}
        onPointerDown={point}
        onPointerCancel={leave}
        onPointerLeave={(event) => {
          // A finger that is lifted leaves the values to be read.
          if (event.pointerType !== 'touch') leave();
        }}
      >
        <svg
          className="forge-plot-lines"
          viewBox={`0 0 ${BOX} ${BOX}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={spoken(
            metric,
            drawn.map(({ curve }) => curve),
          )}
        >
          {rows.map(({ value }) => (
            <path key={value} className="forge-grid-line" d={`M0 ${BOX * (1 - shareOf(y, value))}H${BOX}`} />
          ))}
          {drawn.map(({ curve, raw, smooth: averaged }) => (
            <g key={curve.model} className={modelClass(curve.model)} style={{ strokeDasharray: modelDashes(curve.model) }}>
              <path className={smooth ? 'forge-line-raw' : 'forge-line'} d={raw} />
              {smooth && <path className="forge-line" d={averaged} />}
            </g>
          ))}
        </svg>
        {drawn.length === 0 && <p className="forge-plot-empty">No values of {metricLabel(metric)}.</p>}
        {pointed !== null && drawn.length > 0 && (
          <Readout metric={metric} curves={drawn.map(({ curve }) => curve)} x={x} share={pointed} />
        )}
      </div>
      <XLabels axis={x} ticks={columns} />
    </div>
  );
}

function within(share: number): number {
  return Math.min(1, Math.max(0, share));
}

function YLabels({ axis, ticks }: { readonly axis: Axis; readonly ticks: readonly Tick[] }): JSX.Element {
  return (
    <div className="forge-y-labels" aria-hidden="true">
      {ticks.map(({ value, label }) => (
        <span key={value} style={{ bottom: `${100 * shareOf(axis, value)}%` }}>
          {label}
        </span>
      ))}
    </div>
  );
}

function XLabels({ axis, ticks }: { readonly axis: Axis; readonly ticks: readonly Tick[] }): JSX.Element {
  return (
    <div className="forge-x-labels" aria-hidden="true">
      {ticks.map(({ value, label }) => (
        <span key={value} style={{ left: `${100 * shareOf(axis, value)}%` }}>
          {label}
        </span>
      ))}
    </div>
  );
}

interface ReadoutProps {
  readonly metric: string;
  readonly curves: readonly Curve[];
  readonly x: Axis;
  readonly share: number;
}

/** What the lines are worth where the pointer is. */
function Readout({ metric, curves, x, share }: ReadoutProps): JSX.Element {
  const step = valueAt(x, share);
  return (
    <>
      <div className="forge-crosshair" style={{ left: `${100 * share}%` }} />
      <dl className="forge-readout" style={share > 0.5 ? { right: `${100 * (1 - share)}%` } : { left: `${100 * share}%` }}>
        <div>
          <dt>step</dt>
          <dd>{formatCount(step)}</dd>
        </div>
        {curves.map((curve) => (
          <div key={curve.model}>
            <dt>
              <span className={`forge-swatch ${modelClass(curve.model)}`} aria-hidden="true" />
              model {curve.model}
            </dt>
            <dd>{valueNear(metric, curve, step)}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function valueNear(metric: string, curve: Curve, step: number): string {
  const last = curve.steps.at(-1);
  if (last === undefined || step > last) return '–';
  return metricText(metric, curve.values[nearest(curve.steps, step)]);
}

function stepAxis(curves: readonly Curve[], totalSteps: number): Axis {
  let low = Infinity;
  let high = totalSteps;
  for (const { steps } of curves) {
    low = Math.min(low, steps[0] ?? low);
    high = Math.max(high, steps.at(-1) ?? high);
  }
  const start = Number.isFinite(low) ? low : 0;
  // Training begins at zero, or near it: then the axis does too, and a first step of 1 or 10 does not shift it.
  const from = start >= 0 && (totalSteps > 0 || start <= (high - start) * 0.1) ? 0 : start;
  return { low: from, high: high > from ? high : from + 1, log: false };
}

function* allValues(curves: readonly Curve[]): Generator<number> {
  for (const curve of curves) yield* curve.values;
}

function draw(curve: Curve, x: Axis, y: Axis, smooth: boolean): Drawn {
  const parts = stretches(curve);
  const path = (change: (values: readonly number[]) => readonly number[]): string =>
    parts.map(({ steps, values }) => pathOf(steps, change(values), x, y)).join('');
  return { curve, raw: path((values) => values), smooth: smooth ? path((values) => smoothed(values, SMOOTHING)) : '' };
}

function spoken(metric: string, curves: readonly Curve[]): string {
  const lines = curves.map(({ model, values }) => {
    const [first = NaN] = values;
    return `model ${model} from ${formatNumber(first)} to ${formatNumber(values.at(-1) ?? NaN)}`;
  });
  return lines.length === 0
    ? `No values of ${metricLabel(metric)}`
    : `${metricLabel(metric)} by step: ${lines.join(', ')}`;
}
