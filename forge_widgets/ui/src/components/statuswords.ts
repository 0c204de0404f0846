// The one word of a session's status, its mark, and what there is to say beside it. Pure. Called by the dashboard.
import { liveness, type SessionView } from '../stream';
import type { MarkKind } from './StatusMark';

/** How a session stands, in words. */
export interface StatusWords {
  readonly kind: MarkKind;
  readonly word: string;
  /** What a person would ask next: "no step for 41 s, usually 0.2 s"; "" where the word says it all. */
  readonly detail: string;
}

const WORDS: Readonly<Record<MarkKind, string>> = {
  connecting: 'connecting',
  waiting: 'waiting',
  running: 'running',
  slow: 'slow',
  stalled: 'stalled',
  paused: 'paused',
  completed: 'completed',
  error: 'error',
  lost: 'connection lost',
  history: 'history only',
  deleted: 'deleted',
};

/** Say how a session stands at a moment of the local clock, in seconds since the epoch. */
export function statusWords(view: SessionView, now: number): StatusWords {
  const { status, text } = liveness(view, now);
  const kind = view.deleted ? 'deleted' : view.loaded ? status : 'connecting';
  return { kind, word: WORDS[kind], detail: text };
}
