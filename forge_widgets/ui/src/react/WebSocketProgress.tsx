// The component for pages that only want to be told, or only to show: follows a session, calls back, and shows its status box.
import type { ReactElement } from 'react';

import type { WebSocketProgressProps } from './contract';
import { StatusBox } from './StatusBox';
import { useTarget } from './target';
import { useCallbacks, useProgress } from './useprogress';

/** Follow a session for as long as this is mounted. Shows nothing where there is no session. */
export function WebSocketProgress(props: WebSocketProgressProps): ReactElement | null {
  const { position, theme, className, style } = props;
  const target = useTarget(props.sessionId, props);
  const progress = useProgress(target);
  useCallbacks(target, props);
  if (target === null) return null;
  return <StatusBox {...{ sessionId: target.sessionId, progress, position, theme, className, style }} />;
}
