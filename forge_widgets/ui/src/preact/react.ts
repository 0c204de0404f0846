// React as far as the components use it, on preact alone: what the anywidgets and the page are built with in place of
// react. preact/compat would do, and weighs 6 KB more. Only build.mjs names this file.
import { useEffect, useLayoutEffect, useReducer, useRef } from 'preact/hooks';

export { createElement, Fragment } from 'preact';
export { useCallback, useEffect, useId, useMemo, useRef, useState } from 'preact/hooks';

/** Follow a store outside the components, as React's hook of this name does. */
export function useSyncExternalStore<T>(subscribe: (listener: () => void) => () => void, snapshot: () => T): T {
  const value = snapshot();
  const shownRef = useRef({ value, snapshot });
  const [, again] = useReducer((count: number) => count + 1, 0);
  useLayoutEffect(() => {
    shownRef.current = { value, snapshot };
  }, [value, snapshot]);
  useEffect(() => {
    const look = (): void => {
      if (!Object.is(shownRef.current.value, shownRef.current.snapshot())) again(undefined);
    };
    // Between rendering and subscribing something may have changed.
    look();
    return subscribe(look);
  }, [subscribe]);
  return value;
}
