// A chart of one metric: a line for each model over its own steps, raw behind smoothed. Draws what it is given;
// must never ask for data itself. Called by the dashboard.
import { useId, useMemo, useState, type JSX, type KeyboardEvent, type MouseEvent, type PointerEvent } from 'react';

import { axisOf, shareOf, stepTicksOf, ticksOf, valueAt, type Axis, type Tick } from './axis';
import { BOX, nearest, pathOf, seen, smoothed, SMOOTHING, type Curve } from './curve';
import { metricLabel, metricText } from './metricwords';
import { modelColour, modelDashes } from './palette';
import { stepsOf, zoomedTo } from './zoom';
import type { StepRange } from '../stream';
import { formatCount, formatNumber } from '../stream/numbers';
import { stretches } from '../stream/stretches';

const Y_TICKS = 5;
/** How far an arrow key moves the read-out, and the steps beneath it where it stands at the edge, as shares of the axis. */
const KEY_SHARE = 0.02;
const MOVED_SHARE = 0.25;
/** How much a key and a double click zoom, and how far a pointer is dragged at least, in pixels. */
const KEY_ZOOM = 2;
const CLICK_ZOOM = 4;
const DRAGGED = 4;

export interface CurveChartProps {
  /** The metric that is shown, and those that may be. */
  readonly metric: string;
  readonly choices: readonly string[];
  readonly onMetric: (metric: string) => void;
  readonly curves: readonly Curve[];
  /** Where the axis of steps ends if the steps themselves end before; 0 where that is not known. */
  readonly totalSteps: number;
  /** The steps that are shown; null for all. */
  readonly range: StepRange | null;
  readonly onRange: (range: StepRange | null) => void;
}

interface Drawn {
  readonly curve: Curve;
  readonly raw: string;
  readonly smooth: string;
}

/** Show the curves of a metric with a choice of metric, a logarithmic axis and smoothing. */
export function CurveChart({ metric, choices, onMetric, curves, totalSteps, range, onRange }: CurveChartProps): JSX.Element {
  const [log, setLog] = useState(false);
  const [smooth, setSmooth] = useState(true);
  const all = useMemo(() => stepsOf(curves, totalSteps), [curves, totalSteps]);
  const x = useMemo(() => stepAxis(range ?? all), [all, range]);
  const y = useMemo(() => axisOf(seenValues(curves, x), log, range !== null), [curves, x, log, range]);
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
        {range !== null && <Zoomed range={range} onRange={onRange} />}
      </ChartBar>
      <Plot
        metric={metric}
        drawn={drawn}
        x={x}
        y={y}
        smooth={smooth}
        zoomed={range !== null}
        onZoom={(from, to) => {
          onRange(zoomedTo(from, to, all));
        }}
      />
    </section>
  );
}

interface ChartBarProps {
  readonly metric: string;
  readonly choices: readonly string[];
  readonly onMetric: (metric: string) => void;
  readonly children: readonly (JSX.Element | false)[];
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

type ZoomedProps = Required<Pick<CurveChartProps, 'onRange'>> & { readonly range: StepRange };

/** That this is not all, and the way back. */
function Zoomed({ range, onRange }: ZoomedProps): JSX.Element {
  return (
    <span className="forge-zoomed">
      <span>
        steps {formatCount(range.from)}–{formatCount(range.to)} ·
      </span>
      <button
        type="button"
        className="forge-link"
        title="Show all steps (Escape in the chart, or a double click)"
        onClick={(event) => {
          // The button goes, and whoever came by keyboard stays at the chart.
          event.currentTarget.closest('section')?.querySelector<HTMLElement>('[tabindex]')?.focus();
          onRange(null);
        }}
      >
        show all
      </button>
    </span>
  );
}

interface PlotProps {
  readonly metric: string;
  readonly drawn: readonly Drawn[];
  readonly x: Axis;
  readonly y: Axis;
  readonly smooth: boolean;
  readonly zoomed: boolean;
  /** Told which steps are to be shown; those beyond all are cut off. */
  readonly onZoom: (from: number, to: number) => void;
}

function Plot({ metric, drawn, x, y, smooth, zoomed, onZoom }: PlotProps): JSX.Element {
  const [pointed, setPointed] = useState<number | null>(null);
  const [grabbed, setGrabbed] = useState<number | null>(null);
  const point = (event: PointerEvent<HTMLElement>): void => {
    setPointed(sharePointed(event));
  };
  const leave = (): void => {
    setPointed(null);
    setGrabbed(null);
  };
  const grab = (event: PointerEvent<HTMLElement>): void => {
    point(event);
    // A finger reads, or moves the page: it zooms by tapping twice.
    if (event.pointerType === 'touch' || event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setGrabbed(sharePointed(event));
  };
  const drop = (event: PointerEvent<HTMLElement>): void => {
    const [from, to] = [grabbed, sharePointed(event)];
    setGrabbed(null);
    if (from === null || to === null || Math.abs(to - from) * event.currentTarget.clientWidth < DRAGGED) return;
    onZoom(valueAt(x, Math.min(from, to)), valueAt(x, Math.max(from, to)));
  };
  const zoom = (by: number, share: number): void => {
    onZoom(valueAt(x, share - share / by), valueAt(x, share + (1 - share) / by));
  };
  const showAll = (): void => {
    onZoom(-Infinity, Infinity);
  };
  const toggle = (event: MouseEvent<HTMLElement>): void => {
    if (zoomed) showAll();
    else zoom(CLICK_ZOOM, sharePointed(event) ?? 0.5);
  };
  const press = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = pointed ?? 0.5;
    const by = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0;
    if (by !== 0) {
      setPointed(within(at + by * KEY_SHARE));
      if (zoomed && at === within(by)) onZoom(valueAt(x, by * MOVED_SHARE), valueAt(x, 1 + by * MOVED_SHARE));
    } else if (event.key === '+' || event.key === '=') zoom(KEY_ZOOM, at);
    else if (event.key === '-') zoom(1 / KEY_ZOOM, at);
    else if (event.key === 'Escape' || event.key === 'Home' || event.key === '0') {
      leave();
      showAll();
    } else return;
    // The lab has other uses for these: 0 twice restarts a kernel.
    event.preventDefault();
    event.stopPropagation();
  };
  const rows = ticksOf(y, Y_TICKS);
  return (
    <div className="forge-plot">
      <Labels of="y" axis={y} ticks={rows} />
      <div
        className="forge-plot-area"
        tabIndex={0}
        role="group"
        aria-label={`${metricLabel(metric)}, read by the arrow keys, zoomed by + and −`}
        onKeyDown={press}
        onBlur={leave}
        onPointerMove={point}
        onPointerDown={grab}
        onPointerUp={drop}
        onPointerCancel={leave}
        onDoubleClick={toggle}
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
            <g key={curve.model} style={{ ...modelColour(curve.model), strokeDasharray: modelDashes(curve.model) }}>
              <path className={smooth ? 'forge-line-raw' : 'forge-line'} d={raw} />
              {smooth && <path className="forge-line" d={averaged} />}
            </g>
          ))}
        </svg>
        {grabbed !== null && pointed !== null && (
          <div
            className="forge-band"
            style={{ left: `${100 * Math.min(grabbed, pointed)}%`, width: `${100 * Math.abs(pointed - grabbed)}%` }}
          />
        )}
        {drawn.length === 0 && <p className="forge-plot-empty">No values of {metricLabel(metric)}.</p>}
        {pointed !== null && drawn.length > 0 && (
          <Readout metric={metric} curves={drawn.map(({ curve }) => curve)} x={x} share={pointed} />
        )}
      </div>
      <Labels of="x" axis={x} ticks={stepTicksOf(x)} />
    </div>
  );
}

/** Return where in the plot a pointer is, from 0 at its left to 1; null where the plot has no width. */
function sharePointed(event: MouseEvent<HTMLElement>): number | null {
  const box = event.currentTarget.getBoundingClientRect();
  return box.width > 0 ? within((event.clientX - box.left) / box.width) : null;
}

function within(share: number): number {
  return Math.min(1, Math.max(0, share));
}

interface LabelsProps {
  readonly of: 'x' | 'y';
  readonly axis: Axis;
  readonly ticks: readonly Tick[];
}

function Labels({ of, axis, ticks }: LabelsProps): JSX.Element {
  const side = of === 'x' ? 'left' : 'bottom';
  return (
    <div className={`forge-${of}-labels`} aria-hidden="true">
      {ticks.map(({ value, label }) => (
        <span key={value} style={{ [side]: `${100 * shareOf(axis, value)}%` }}>
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
              <span className="forge-swatch" style={modelColour(curve.model)} aria-hidden="true" />
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

function stepAxis({ from, to }: StepRange): Axis {
  return { low: from, high: to, log: false };
}

function* seenValues(curves: readonly Curve[], x: Axis): Generator<number> {
  for (const curve of curves) {
    for (const part of stretches(curve)) yield* part.values.slice(...seen(part.steps, x));
  }
}

function draw(curve: Curve, x: Axis, y: Axis, smooth: boolean): Drawn {
  const parts = stretches(curve);
  const path = (change: (values: readonly number[]) => readonly number[]): string =>
    parts.map(({ steps, values }) => {
      const span = seen(steps, x);
      return pathOf(steps.slice(...span), change(values).slice(...span), x, y);
    }).join('');
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
