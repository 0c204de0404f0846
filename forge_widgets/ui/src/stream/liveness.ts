// What a screen says of a training now: its status, and whether its steps come as they usually do. Judged by the run's
// own pace, never by a fixed limit alone. Pure: the time is an argument. Called by the components.
import { formatDuration } from './numbers';
import { idleSeconds, pulse, recentRate, usualRate } from './pulse';
import type { State } from './state';
import type { SessionView } from './view';

export type ViewStatus = 'waiting' | 'running' | 'slow' | 'stalled' | 'paused' | 'completed' | 'error' | 'lost';

/** A status, and what there is to say about it: "no step for 41 s, usually 0.2 s"; "" where the word says it all. */
export interface Liveness {
  readonly status: ViewStatus;
  readonly text: string;
}

/** A run that is this many of its newest steps late is told by the wait for the next one, any other by its pace. */
const LATE_STEPS = 4;

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
  const status = pulse(state, now);
  if (status === 'running') return { status, text: '' };
  const usually = usualRate(state.pace);
  const usual = usually === undefined ? '' : `, usually ${stepTime(1 / usually)}`;
  const idle = idleSeconds(state, now);
  const recent = recentRate(state.pace);
  // A step that is not overdue by the newest pace is none that fails to come.
  const late = recent === undefined || idle * recent > LATE_STEPS;
  return { status, text: late ? idleText(state, idle, usual) : `${stepTime(1 / recent)} a step${usual}` };
}

function idleText(state: State, idle: number, usual: string): string {
  return state.steppedAt === 0 ? `no step yet after ${formatDuration(idle)}` : `no step for ${formatDuration(idle)}${usual}`;
}

/** Write how long one step takes; short ones in milliseconds. */
function stepTime(seconds: number): string {
  return seconds < 0.1 ? `${String(Number((seconds * 1000).toPrecision(2)))} ms` : formatDuration(seconds);
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
