// The hook: follows a session while the component that calls it is mounted, whether its status box is shown or not.
import { useMemo, type ReactElement } from 'react';

import type {
  Nonfinite,
  ProgressAppearance,
  ProgressConnection,
  ProgressMetrics,
  ProgressStatus,
  UseWebSocketProgressOptions,
} from './contract';
import type { Target } from './follower';
import { StatusBox } from './StatusBox';
import { useTarget } from './target';
import { useCallbacks, useProgress } from './useprogress';

/** What is known of a session, anew with each change, at most 20 times a second. */
export interface UseWebSocketProgress {
  /** null before the first update. */
  readonly metrics: ProgressMetrics | null;
  /** What metrics were that are null. */
  readonly nonfinite: Nonfinite;
  readonly status: ProgressStatus;
  /** The text of the error that the training has ended with; null where it has not. */
  readonly error: string | null;
  readonly connection: ProgressConnection;
  /** The session's status box; the same component for as long as the session is the same. */
  readonly WebSocketProgressComponent: (props: ProgressAppearance) => ReactElement | null;
}

/** Follow a session; null follows nothing yet. Hooks of one page that follow the same session share a connection. */
export function useWebSocketProgress(
  sessionId: string | null | undefined,
  options: UseWebSocketProgressOptions = {},
): UseWebSocketProgress {
  const target = useTarget(sessionId, options);
  const { metrics, nonfinite, status, error, connection } = useProgress(target);
  useCallbacks(target, options);
  const WebSocketProgressComponent = useMemo(() => statusBoxOf(target), [target]);
  return { metrics, nonfinite, status, error, connection, WebSocketProgressComponent };
}

function statusBoxOf(target: Target | null): (props: ProgressAppearance) => ReactElement | null {
  return function WebSocketProgressComponent(appearance) {
    const progress = useProgress(target);
    return target === null ? null : <StatusBox {...appearance} sessionId={target.sessionId} progress={progress} />;
  };
}
