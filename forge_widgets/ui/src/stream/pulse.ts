// Do a training's steps come as they usually do? Judged by its own pace, never by a fixed limit alone. Pure, the same as
// forge_widgets/core/pulse.py (tests/vectors/pulse.json holds the two together); called by liveness.ts.
import { sampleRates } from './eta';
import type { Pace, State } from './state';

export type Pulse = 'running' | 'slow' | 'stalled';

/** Without a step for this many of the longest usual waits, and at least so many seconds, a run is slow, then stalled. */
const SLOW = { waits: 4, seconds: 5 };
const STALLED = { waits: 12, seconds: 30 };
/** Steps that take this many times as long as usual are slow, over so many of the newest samples. */
const SLOW_FACTOR = 3;
const RECENT_SAMPLES = 3;
const MIN_USUAL_SAMPLES = 6;

/** Say whether the steps of a running training come as usual at `now`, in seconds since the epoch. */
export function pulse(state: State, now: number): Pulse {
  const { pace } = state;
  const idle = idleSeconds(state, now);
  const wait = usualWait(pace);
  if (idle > Math.max(STALLED.seconds, STALLED.waits * wait)) return 'stalled';
  if (idle > Math.max(SLOW.seconds, SLOW.waits * wait)) return 'slow';
  const usually = usualRate(pace);
  const recent = recentRate(pace);
  return usually !== undefined && recent !== undefined && recent * SLOW_FACTOR < usually ? 'slow' : 'running';
}

/** Return the seconds since the newest step, or since anything was recorded where there is none yet. */
export function idleSeconds(state: State, now: number): number {
  return now - (state.steppedAt || state.updatedAt);
}

/** Return the steps a second that are usual: the median from sample to sample; undefined where nothing moved yet. */
export function usualRate(pace: readonly Pace[]): number | undefined {
  const rates = sampleRates(pace);
  return rates[Math.floor(rates.length / 2)];
}

/** Return the steps a second that were usual of late, so that one evaluation makes no run slow; undefined as above. */
export function recentRate(pace: readonly Pace[]): number | undefined {
  return pace.length < MIN_USUAL_SAMPLES ? undefined : usualRate(pace.slice(-1 - RECENT_SAMPLES));
}

/** Return the longest wait from sample to sample but for the longest tenth: evaluations in between are usual, too. */
function usualWait(pace: readonly Pace[]): number {
  const waits = pace.slice(1).map((after, index) => after[0] - (pace[index]?.[0] ?? after[0]));
  waits.sort((one, other) => one - other);
  return waits[Math.floor(0.9 * (waits.length - 1))] ?? 0;
}
