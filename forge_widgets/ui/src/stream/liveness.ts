// What a screen says of a training now: its status, and whether its steps come as they usually do. Judged by the run's
// own pace, never by a fixed limit alone. Pure: the time is an argument. Called by the components.
import { sampleRates } from './eta';
import { formatDuration } from './numbers';
import type { Pace, State } from './state';
import type { SessionView } from './view';

export type ViewStatus = 'waiting' | 'running' | 'slow' | 'stalled' | 'paused' | 'completed' | 'error' | 'lost';

/** A status, and what there is to say about it: "no step for 41 s, usually 0.2 s"; "" where the word says it all. */
export interface Liveness {
  readonly status: ViewStatus;
  readonly text: string;
}

/** Without a step for this many of the longest usual waits, and at least so many seconds, a run is slow, then stalled. */
const SLOW = { waits: 4, seconds: 5 };
const STALLED = { waits: 12, seconds: 30 };
/** Steps that take this many times as long as usual are slow, over so many of the newest samples. */
const SLOW_FACTOR = 3;
const RECENT_SAMPLES = 3;
const MIN_USUAL_SAMPLES = 6;

/** Say what a view shows of its training at a moment of the local clock, in seconds since the epoch. */
export function liveness(view: SessionView, now: number): Liveness {
  const { state } = view;
  if (state.status === 'waiting') return { status: 'waiting', text: waitingText(view) };
  if (state.lost && (state.status === 'running' || state.status === 'paused')) {
    return { status: 'lost', text: 'the training process has gone without a word' };
  }
  if (state.status === 'error') return { status: 'error', text: firstLine(state.error) };
  if (state.status !== 'running') return { status: state.status, text: '' };
  // What is known stops where the link broke: silence after that says nothing of the training.
  const known = view.link.offlineSince === null ? now : Math.min(now, view.link.offlineSince / 1000);
  return runningLiveness(state, known + view.clockOffset);
}

function waitingText(view: SessionView): string {
  if (view.deleted) return `${view.sessionId} was deleted`;
  if (view.loaded) return `Waiting for ${view.sessionId}… nothing recorded yet`;
  if (view.link.offlineSince === null) return `Looking for ${view.sessionId}…`;
  return `Nothing is known of ${view.sessionId} yet: ${view.link.reason}`;
}

function runningLiveness(state: State, now: number): Liveness {
  const idle = now - (state.steppedAt || state.updatedAt);
  const wait = usualWait(state.pace);
  const rates = sampleRates(state.pace);
  const usually = rates[Math.floor(rates.length / 2)];
  const usual = usually === undefined ? '' : `, usually ${stepTime(1 / usually)}`;
  if (idle > Math.max(STALLED.seconds, STALLED.waits * wait)) return { status: 'stalled', text: idleText(state, idle, usual) };
  if (idle > Math.max(SLOW.seconds, SLOW.waits * wait)) return { status: 'slow', text: idleText(state, idle, usual) };
  const recent = recentRate(state.pace);
  if (usually !== undefined && recent !== null && recent * SLOW_FACTOR < usually) {
    return { status: 'slow', text: `${stepTime(1 / recent)} a step${usual}` };
  }
  return { status: 'running', text: '' };
}

function idleText(state: State, idle: number, usual: string): string {
  return state.steppedAt === 0 ? `no step yet after ${formatDuration(idle)}` : `no step for ${formatDuration(idle)}${usual}`;
}

/** Return the longest wait from sample to sample but for the longest tenth: evaluations in between are usual, too. */
function usualWait(pace: readonly Pace[]): number {
  const waits = pace.slice(1).map((after, index) => after[0] - (pace[index]?.[0] ?? after[0]));
  waits.sort((one, other) => one - other);
  return waits[Math.floor(0.9 * (waits.length - 1))] ?? 0;
}

/** Return the steps a second of the newest samples; null where there are too few to compare. */
function recentRate(pace: readonly Pace[]): number | null {
  const last = pace.at(-1);
  const before = pace.at(-1 - RECENT_SAMPLES);
  if (pace.length < MIN_USUAL_SAMPLES || last === undefined || before === undefined) return null;
  const rate = (last[1] - before[1]) / (last[0] - before[0]);
  return rate > 0 ? rate : null;
}

/** Write how long one step takes; short ones in milliseconds. */
function stepTime(seconds: number): string {
  return seconds < 0.1 ? `${String(Number((seconds * 1000).toPrecision(2)))} ms` : formatDuration(seconds);
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
