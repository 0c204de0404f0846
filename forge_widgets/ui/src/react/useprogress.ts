// Lets components follow a target: what is known of it, painted as React likes, and callbacks, told outside of painting.
// Callers own nothing: a stream is begun after the first of them is mounted and ended after the last is gone.
import { useCallback, useEffect, useRef, useSyncExternalStore } from 'react';

import type { ProgressCallbacks } from './contract';
import { failing, follow, known, type Target } from './follower';
import { NOTHING, type Progress } from './progress';
import { Teller } from './teller';

/** Return what is known of a target, anew with each change; on a server what is known before anything is. */
export function useProgress(target: Target | null): Progress {
  const subscribe = useCallback(
    (onProgress: () => void) => (target === null ? () => undefined : follow(target, { onProgress })),
    [target],
  );
  return useSyncExternalStore(
    subscribe,
    () => known(target),
    () => NOTHING,
  );
}

/** Tell callbacks what happens to a target; always the newest ones, whatever was passed first. */
export function useCallbacks(target: Target | null, callbacks: ProgressCallbacks): void {
  const latest = useRef(callbacks);
  // Outlives an effect that is run twice (StrictMode), so that nothing is told twice.
  const teller = useRef<Teller | null>(null);
  useEffect(() => {
    latest.current = callbacks;
  });
  useEffect(() => {
    if (target === null) return undefined;
    if (teller.current?.key !== target.key) teller.current = new Teller(target.key, latest);
    const told = teller.current;
    const stop = follow(target, {
      onHappening: (happening) => { told.happened(happening); },
      onProgress: (progress) => { told.progressed(progress); },
    });
    // Where others followed it before us.
    told.found(failing(target));
    told.progressed(known(target));
    return stop;
  }, [target]);
}
