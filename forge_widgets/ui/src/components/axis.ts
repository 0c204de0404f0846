// Where points and ticks stand on an axis, linear or logarithmic. Pure. Called by the chart and the spark lines.
import { formatCount, formatNumber } from '../stream/numbers';

/** A range of values on one axis, and how a value becomes a share (0 to 1) of its length. */
export interface Axis {
  readonly low: number;
  readonly high: number;
  readonly log: boolean;
}

/** A line across the chart and what is written beside it. */
export interface Tick {
  readonly value: number;
  readonly label: string;
}

/** Below this share of its greatest value a curve has come near zero. */
const NEAR_ZERO = 0.7;

/**
 * Return the axis that holds all finite values, with a little air; a logarithmic one leaves out what is not positive. A close
 * one does without the zero that they come near.
 */
export function axisOf(values: Iterable<number>, log: boolean, close = false): Axis {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value) || (log && value <= 0)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return log ? { low: 0.1, high: 1, log } : { low: 0, high: 1, log };
  return log ? airedLog(low, high) : airedLinear(low, high, close);
}

function airedLinear(low: number, high: number, close: boolean): Axis {
  const air = high > low ? (high - low) * 0.05 : Math.max(Math.abs(high) * 0.1, 1e-9);
  // What comes near zero begins there, and nothing that is never negative below it: so the axis of a falling loss stays.
  const start = !close && low >= 0 && low < NEAR_ZERO * high ? 0 : low - air;
  return { low: low >= 0 ? Math.max(0, start) : start, high: high + air, log: false };
}

function airedLog(low: number, high: number): Axis {
  const factor = high > low ? Math.pow(high / low, 0.05) : 1.2;
  return { low: low / factor, high: high * factor, log: true };
}

/** Return where a value stands, from 0 at the low end to 1 at the high end; NaN where it has no place. */
export function shareOf(axis: Axis, value: number): number {
  if (!axis.log) return (value - axis.low) / (axis.high - axis.low);
  return value > 0 ? Math.log(value / axis.low) / Math.log(axis.high / axis.low) : NaN;
}

/** Return the value that stands at a share of the axis. */
export function valueAt(axis: Axis, share: number): number {
  return axis.log
    ? axis.low * Math.pow(axis.high / axis.low, share)
    : axis.low + share * (axis.high - axis.low);
}

/** Return round values inside the axis, about `wanted` of them. */
export function ticksOf(axis: Axis, wanted: number): readonly Tick[] {
  const ticks = axis.log ? decades(axis, wanted) : [];
  const values = ticks.length >= 2 ? ticks : evenSteps(axis, wanted);
  return values.map((value) => ({ value, label: formatNumber(value) }));
}

/** Return round steps inside the axis: in full, and then fewer, where four digits would not tell them apart. */
export function stepTicksOf(axis: Axis): readonly Tick[] {
  const ticks = ticksOf(axis, 5);
  if (ticks.every(({ value }) => Number(value.toPrecision(4)) === value)) return ticks;
  return ticksOf(axis, 3).map(({ value }) => ({ value, label: formatCount(value) }));
}

function evenSteps(axis: Axis, wanted: number): number[] {
  const rough = (axis.high - axis.low) / Math.max(1, wanted);
  const magnitude = Math.pow(10, Math.floor(Math.log10(rough)));
  // A few more ticks than wanted are better than half of them.
  const step = magnitude * ([1, 2, 5].find((factor) => factor * magnitude >= rough * 0.7) ?? 10);
  const first = Math.ceil(axis.low / step - 1e-9);
  const last = Math.floor(axis.high / step + 1e-9);
  // Ten digits: 3 × 0.1 is written 0.3.
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) =>
    Number(((first + index) * step).toPrecision(10)),
  ).filter((value) => !axis.log || value > 0);
}

function decades(axis: Axis, wanted: number): number[] {
  const first = Math.ceil(Math.log10(axis.low));
  const last = Math.floor(Math.log10(axis.high));
  const every = Math.max(1, Math.ceil((last - first) / wanted));
  const factors = last - first <= 1 ? [1, 2, 5] : [1];
  const values: number[] = [];
  for (let power = first - every; power <= last; power += every) {
    for (const factor of factors) values.push(Number((factor * Math.pow(10, power)).toPrecision(10)));
  }
  return values.filter((value) => value >= axis.low && value <= axis.high);
}
