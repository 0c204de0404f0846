// The sentences of a dashboard: where a training stands, how long it takes, which way it is reached. Pure.
import {
  formatCount,
  formatDuration,
  metricValue,
  type Estimate,
  type Link,
  type State,
} from '../stream';

/** Say where a training stands: "model 2 of 3 · step 450 of 1,000"; only what was recorded. */
export function placeWords(state: State): string {
  const parts: string[] = [];
  if (state.attempt > 1) parts.push(`attempt ${state.attempt}`);
  if (state.metrics.has('totalModels') && metricValue(state, 'totalModels') > 1) {
    parts.push(`model ${count(state, 'currentModel')} of ${count(state, 'totalModels')}`);
  }
  if (state.metrics.has('currentStep')) {
    const total = state.metrics.has('totalSteps') ? ` of ${count(state, 'totalSteps')}` : '';
    parts.push(`step ${count(state, 'currentStep')}${total}`);
  }
  return parts.join(' · ');
}

function count(state: State, name: string): string {
  return formatCount(metricValue(state, name));
}

/** Say how long it still takes: "~ 12 min (10–17 min)". */
export function leftWords({ seconds, low, high }: Estimate): string {
  const range = rangeWords(formatDuration(low), formatDuration(high));
  return `~ ${formatDuration(seconds)}${range === '' ? '' : ` (${range})`}`;
}

function rangeWords(low: string, high: string): string {
  if (low === high) return '';
  const [lowNumber = '', lowUnit, ...more] = low.split(' ');
  const sameUnit = more.length === 0 && lowUnit === high.split(' ')[1] && high.split(' ').length === 2;
  return `${sameUnit ? lowNumber : low}–${high}`;
}

/** Say a pace: "41 steps/s", or "3.2 s/step" where a step takes longer than a second. */
export function paceWords(stepsPerSecond: number): string {
  if (stepsPerSecond < 1) return `${formatDuration(1 / stepsPerSecond)}/step`;
  return `${stepsPerSecond < 9.95 ? stepsPerSecond.toFixed(1) : formatCount(stepsPerSecond)} steps/s`;
}

/** Say how long ago something was: "now", "41 s ago", "2 h ago". */
export function agoWords(seconds: number): string {
  if (seconds < 2) return 'now';
  return seconds < 60 ? `${Math.floor(seconds)} s ago` : `${formatDuration(seconds)} ago`;
}

/** Write a moment (milliseconds since the epoch) as local time. */
export function clockWords(atMs: number): string {
  return new Date(atMs).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}

/** What the badge of the link says, and what it says when one asks more. */
export interface LinkWords {
  readonly label: string;
  readonly explanation: string;
}

/** Say which way a view is reached, and why. */
export function linkWords(link: Link): LinkWords {
  const why = link.reason === '' ? '' : ` ${sentence(link.reason)}`;
  switch (link.transport) {
    case 'websocket':
      return { label: 'WebSocket', explanation: `Live over a WebSocket.${why}` };
    case 'http':
      return { label: 'polling', explanation: `The server is asked for news again and again.${why}` };
    case 'comm':
      return { label: 'through the kernel', explanation: `The kernel sends what is new.${why}` };
    case null:
      return link.offlineSince === null
        ? { label: 'connecting…', explanation: `Looking for a way to the session.${why}` }
        : { label: 'offline', explanation: `Offline since ${clockWords(link.offlineSince)}.${why}` };
  }
}

/** Write a reason as a sentence: a capital first, a full stop at its end. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === '') return '';
  return `${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}${/[.!?…]$/.test(trimmed) ? '' : '.'}`;
}
