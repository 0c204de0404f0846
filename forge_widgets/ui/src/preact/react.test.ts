import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createRoot, type Root } from './client';
import { createElement, useSyncExternalStore } from './react';

class Store {
  value = 'one';
  readonly #listeners = new Set<() => void>();

  get listeners(): number {
    return this.#listeners.size;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  readonly read = (): string => this.value;

  set(value: string): void {
    this.value = value;
    for (const listener of [...this.#listeners]) listener();
  }
}

describe('a store that components follow', () => {
  const host = document.createElement('div');
  let root: Root;
  let renders = 0;

  function Shown({ store, read = store.read }: { readonly store: Store; readonly read?: () => string }): string {
    renders += 1;
    return useSyncExternalStore(store.subscribe, read);
  }

  /** Do what waits for the next frame: preact's effects, and what they ask to be rendered. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  };

  beforeEach(() => {
    root = createRoot(host);
    renders = 0;
  });

  afterEach(() => {
    root.unmount();
  });

  it('is rendered anew when it changes, and not when it is told of without a change', async () => {
    const store = new Store();
    root.render(createElement(Shown, { store }));
    await settle();
    expect(host.textContent).toBe('one');
    store.set('two');
    await settle();
    expect(host.textContent).toBe('two');
    const before = renders;
    store.set('two');
    await settle();
    expect(renders).toBe(before);
  });

  it('is not missed where it changes between rendering and subscribing', async () => {
    const store = new Store();
    root.render(createElement(Shown, { store }));
    store.value = 'two';
    await settle();
    expect(host.textContent).toBe('two');
  });

  it('is read in another way as soon as one asks so', async () => {
    const store = new Store();
    root.render(createElement(Shown, { store }));
    await settle();
    root.render(createElement(Shown, { store, read: () => store.value.length.toString() }));
    expect(host.textContent).toBe('3');
    store.set('three');
    await settle();
    expect(host.textContent).toBe('5');
  });

  it('is let go of with the component', async () => {
    const store = new Store();
    root.render(createElement(Shown, { store }));
    await settle();
    expect(store.listeners).toBe(1);
    root.unmount();
    expect(store.listeners).toBe(0);
    expect(host.textContent).toBe('');
  });
});
