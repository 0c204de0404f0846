// What our components use of React, on preact: the bundles outside JupyterLab name this `react`. In place of preact/compat,
// which costs five times as much for what nobody here uses. Anything that a component newly imports of React goes here.
import { useEffect, useLayoutEffect, useReducer, useRef } from 'preact/hooks';

export { createElement } from 'preact';
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

/** Return what a store outside of the components holds, and render again whenever it holds something else. */
export function useSyncExternalStore<T>(subscribe: (changed: () => void) => () => void, read: () => T): T {
  const value = read();
  const shownRef = useRef({ value, read });
  const [, renderAgain] = useReducer((count: number) => count + 1, 0);
  useLayoutEffect(() => {
    shownRef.current = { value, read };
  });
  useEffect(() => {
    const check = (): void => {
      const { value: shown, read: current } = shownRef.current;
      if (!Object.is(shown, current())) renderAgain(undefined);
    };
    const unsubscribe = subscribe(check);
    // Whatever changed between rendering and now.
    check();
    return unsubscribe;
  }, [subscribe]);
  return value;
}
