// What a chart draws of one metric of one model: smoothing, and the SVG path. Pure. Called by chart and spark line.
import { shareOf, type Axis } from './axis';

/** One metric of one model, in the order of its steps. */
export interface Curve {
  /** From 1. */
  readonly model: number;
  readonly steps: readonly number[];
  readonly values: readonly number[];
}

/** How heavily a smoothed line leans on what came before it. */
export const SMOOTHING = 0.6;

/** The box that paths are written in; the SVG stretches it to its place. */
export const BOX = 1000;

/**
 * Return the moving average of values: exponential, from both sides, so that a falling curve is not shown too high.
 * Each side is corrected for its start as TensorBoard's is. A value that is not finite stays, and counts for nothing.
 */
export function smoothed(values: readonly number[], weight: number): number[] {
  const before = averaged(values, weight);
  const after = averaged(values.toReversed(), weight).reverse();
  return before.map((value, index) => (value + (after[index] ?? value)) / 2);
}

/** Return from where to where the points of a stretch are drawn: those on the axis, and one on each side that a line leads to. */
export function seen(steps: readonly number[], { low, high }: Axis): [start: number, end: number] {
  const start = steps.findIndex((step) => step >= low);
  const end = steps.findIndex((step) => step > high);
  return [Math.max(0, (start < 0 ? steps.length : start) - 1), end < 0 ? steps.length : end + 1];
}

function averaged(values: readonly number[], weight: number): number[] {
  let average = 0;
  let seen = 0;
  return values.map((value) => {
    if (!Number.isFinite(value)) return value;
    average = average * weight + (1 - weight) * value;
    seen += 1;
    return average / (1 - Math.pow(weight, seen));
  });
}

/** Write the path through the points; a value without a place on its axis breaks the line, one that stands alone is a dot. */
export function pathOf(steps: readonly number[], values: readonly number[], x: Axis, y: Axis): string {
  let path = '';
  let drawn = 0;
  for (let index = 0; index <= steps.length; index += 1) {
    const across = shareOf(x, steps[index] ?? NaN);
    const up = shareOf(y, values[index] ?? NaN);
    if (Number.isFinite(across) && Number.isFinite(up)) {
      path += `${drawn > 0 ? 'L' : 'M'}${round(across * BOX)} ${round((1 - up) * BOX)}`;
      drawn += 1;
      continue;
    }
    if (drawn === 1) path += 'h0';
    drawn = 0;
  }
  return path;
}

/** Return the index of the step nearest to `step`, -1 where there is none. */
export function nearest(steps: readonly number[], step: number): number {
  let best = -1;
  let distance = Infinity;
  for (let index = 0; index < steps.length; index += 1) {
    const away = Math.abs((steps[index] ?? NaN) - step);
    if (away < distance) {
      best = index;
      distance = away;
    }
  }
  return best;
}

function round(place: number): number {
  return Math.round(place * 10) / 10;
}
