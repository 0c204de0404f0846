// The mark of a status: each one has its own shape, so that none is told by colour alone. Words stand beside it.
import type { JSX } from 'react';

/** What can be said of a session in one word. */
export type MarkKind =
  | 'connecting'
  | 'waiting'
  | 'running'
  | 'slow'
  | 'stalled'
  | 'paused'
  | 'completed'
  | 'error'
  | 'lost'
  | 'history'
  | 'deleted';

const SHAPES: Readonly<Record<MarkKind, string>> = {
  // A dot; an open circle; a full one; one with its lower half full; three dots; two bars; a tick; a cross;
  // a broken line; a clock; a line.
  connecting: 'M6 4a2 2 0 1 1 0 4a2 2 0 1 1 0-4z',
  waiting: 'M6 1.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 1 1 0-9zm0 1.5a3 3 0 1 0 0 6a3 3 0 1 0 0-6z',
  running: 'M6 1.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 1 1 0-9z',
  slow: 'M6 1.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 1 1 0-9zm0 1.5a3 3 0 0 0-3 3h6a3 3 0 0 0-3-3z',
  stalled: 'M0.5 5h2.6v2.6H0.5zM4.7 5h2.6v2.6H4.7zM8.9 5h2.6v2.6H8.9z',
  paused: 'M2.5 2h2.5v8H2.5zM7 2h2.5v8H7z',
  completed: 'M1 6.4L2.4 5l2.3 2.3L9.6 2.2L11 3.6L4.7 10z',
  error: 'M2.2 1.2L6 5l3.8-3.8l1 1L7 6l3.8 3.8l-1 1L6 7l-3.8 3.8l-1-1L5 6L1.2 2.2z',
  lost: 'M0.5 5.2h3.2v1.6H0.5zM8.3 5.2h3.2v1.6H8.3zM5.6 1l1.4 0.5l-2 9.5l-1.4-0.5z',
  history: 'M6 1a5 5 0 1 1 0 10a5 5 0 1 1 0-10zm0 1.4a3.6 3.6 0 1 0 0 7.2a3.6 3.6 0 1 0 0-7.2zM5.4 3.4h1.2v2.5l1.8 1.2l-0.6 1l-2.4-1.6z',
  deleted: 'M2 5.2h8v1.6H2z',
};

/** Draw the mark of a status. */
export function StatusMark({ kind }: { readonly kind: MarkKind }): JSX.Element {
  return (
    <svg className={`forge-mark forge-mark-${kind}`} viewBox="0 0 12 12" aria-hidden="true">
      <path d={SHAPES[kind]} fill="currentColor" />
    </svg>
  );
}
