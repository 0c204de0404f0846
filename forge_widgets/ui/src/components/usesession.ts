// Lets components follow a session: the view of a stream, painted only while somebody can see it, and a clock that
// ticks once a second. The stream itself tells at most 20 times a second.
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';

import type { SessionView } from '../stream';

/** What components need of a stream: SessionStream is one. */
export interface SessionSource {
  readonly view: SessionView;
  subscribe(listener: () => void): () => void;
}

/** Return the view of a stream. While `visible` is false the last one painted stays. */
export function useSession(stream: SessionSource, visible = true): SessionView {
  const painted = useRef<{ readonly stream: SessionSource; readonly view: SessionView } | null>(null);
  const subscribe = useCallback(
    (listener: () => void) => (visible ? stream.subscribe(listener) : () => undefined),
    [stream, visible],
  );
  const view = useCallback((): SessionView => {
    if (visible || painted.current?.stream !== stream) painted.current = { stream, view: stream.view };
    return painted.current.view;
  }, [stream, visible]);
  return useSyncExternalStore(subscribe, view);
}

/** Say whether an element can be seen: it is on screen, and its page shown. Hand the first to `ref`; without IntersectionObserver it is always on screen. */
export function useVisible(): readonly [(element: Element | null) => void, boolean] {
  const [element, setElement] = useState<Element | null>(null);
  const [visible, setVisible] = useState(true);
  const shown = useSyncExternalStore(followVisibility, isPageShown);
  useEffect(() => {
    if (element === null || typeof IntersectionObserver === 'undefined') return undefined;
    const observer = new IntersectionObserver((entries) => {
      setVisible(entries.at(-1)?.isIntersecting ?? true);
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
    };
  }, [element]);
  return [setElement, visible && shown];
}

function followVisibility(listener: () => void): () => void {
  document.addEventListener('visibilitychange', listener);
  return () => {
    document.removeEventListener('visibilitychange', listener);
  };
}

function isPageShown(): boolean {
  return !document.hidden;
}

/** Return the time in milliseconds since the epoch, in whole seconds, anew every second while `ticking`. */
export function useNow(ticking: boolean): number {
  const subscribe = useCallback(
    (listener: () => void) => {
      if (!ticking) return () => undefined;
      const timer = setInterval(listener, 1000);
      return () => {
        clearInterval(timer);
      };
    },
    [ticking],
  );
  return useSyncExternalStore(subscribe, thisSecond);
}

function thisSecond(): number {
  return Math.floor(Date.now() / 1000) * 1000;
}
