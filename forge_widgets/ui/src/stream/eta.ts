// How long it still takes: the estimate of forge_widgets/core/eta.py (tests/vectors/eta.json holds the two together),
// and how far a training is. Pure; called by the components.
import { overallSteps } from './pace';
import { metricValue } from './state';
import type { Pace, State } from './state';

const MIN_SAMPLES = 3;

/** What is left of a training. */
export interface Estimate {
  readonly stepsPerSecond: number;
  /** Seconds left at that pace, and at the quartiles of the paces from sample to sample. */
  readonly seconds: number;
  readonly low: number;
  readonly high: number;
}

/** Estimate what is left of `total` steps; null with under three samples or where nothing moves forward. */
export function estimate(pace: readonly Pace[], total: number): Estimate | null {
  const [first, last] = [pace[0], pace.at(-1)];
  if (pace.length < MIN_SAMPLES || first === undefined || last === undefined) return null;
  const rates = sampleRates(pace);
  const elapsed = last[0] - first[0];
  const done = last[1] - first[1];
  const slow = rates[Math.floor(rates.length / 4)];
  const fast = rates[Math.floor((3 * rates.length) / 4)];
  if (slow === undefined || fast === undefined || elapsed <= 0 || done <= 0) return null;
  const rate = done / elapsed;
  const left = Math.max(0, total - last[1]);
  return {
    stepsPerSecond: rate,
    seconds: left / rate,
    low: left / Math.max(fast, rate),
    high: left / Math.min(slow, rate),
  };
}

/** Return the steps of all models together; NaN where nobody said how many there are. */
export function overallTotal(state: State): number {
  if (!state.metrics.has('totalSteps')) return NaN;
  const models = metricValue(state, state.metrics.has('totalModels') ? 'totalModels' : 'currentModel');
  return metricValue(state, 'totalSteps') * Math.max(1, models);
}

/** Return how much of all models' steps is done, 0 to 1; NaN where no total is known. */
export function progressShare(state: State): number {
  if (state.status === 'completed') return 1;
  const total = overallTotal(state);
  if (!(total > 0 && total < Infinity)) return NaN;
  return Math.min(1, Math.max(0, overallSteps(state.metrics) / total));
}

/** Estimate what is left of the training that a state is of; null where it is over or its pace is unknown. */
export function timeLeft(state: State): Estimate | null {
  const total = overallTotal(state);
  return state.status === 'running' && total > 0 && total < Infinity ? estimate(state.pace, total) : null;
}

/** Return the steps a second from sample to sample where it went forward, slowest first. */
export function sampleRates(pace: readonly Pace[]): number[] {
  const rates: number[] = [];
  pace.slice(1).forEach((after, index) => {
    const before = pace[index];
    if (before !== undefined && after[0] > before[0] && after[1] > before[1]) {
      rates.push((after[1] - before[1]) / (after[0] - before[0]));
    }
  });
  return rates.sort((one, other) => one - other);
}
