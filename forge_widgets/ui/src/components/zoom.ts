// Which steps a chart shows of all that there are: zooming in and out, moving along, and following the newest step. Pure.
// Called by the charts.
import type { StepRange } from '../stream';

/** What somebody has zoomed to. */
export interface Zoom extends StepRange {
  /** Whether the newest step was among them: then they move along with it. What lies in the past stays. */
  readonly follows: boolean;
}

/** Nobody looks closer than at so many steps. */
const FEWEST_STEPS = 10;

/** Return all steps of an axis: of the curves, and on to the last that is to come; `total` is 0 where nobody knows that. */
export function stepsOf(curves: readonly { readonly steps: readonly number[] }[], total: number): StepRange {
  let low = Infinity;
  let high = total;
  for (const { steps } of curves) {
    low = Math.min(low, steps[0] ?? low);
    high = Math.max(high, steps.at(-1) ?? high);
  }
  const start = Number.isFinite(low) ? low : 0;
  // Training begins at zero, or near it: then the axis does too, and a first step of 1 or 10 does not shift it.
  const from = start >= 0 && (total > 0 || start <= (high - start) * 0.1) ? 0 : start;
  return { from, to: high > from ? high : from + 1 };
}

/** Return whole steps within all of them: at least a few, moved inside where they stick out; null where these are all. */
export function zoomedTo(from: number, to: number, all: StepRange): StepRange | null {
  const width = Math.max(Math.round(to) - Math.round(from), FEWEST_STEPS);
  if (!(width < all.to - all.from)) return null;
  const start = Math.min(Math.max((from + to - width) / 2, all.from), all.to - width);
  return { from: Math.round(start), to: Math.round(start) + width };
}

/** Note whether the newest step is among those that were chosen. */
export function zoomOf(range: StepRange | null, newest: number): Zoom | null {
  return range && { from: range.from, to: range.to, follows: range.from <= newest && newest <= range.to };
}

/** Return the zoom once the newest step has come: the same one, or moved along. */
export function followed(zoom: Zoom | null, newest: number): Zoom | null {
  if (zoom === null || !zoom.follows || !(newest > zoom.to)) return zoom;
  return { from: zoom.from + newest - zoom.to, to: newest, follows: true };
}

/** Return the steps that are to be looked at closely: one that follows is open to what comes. */
export function sought(zoom: Zoom): StepRange {
  return zoom.follows ? { from: zoom.from, to: Infinity } : zoom;
}
