// Puts a view into an element that a host (anywidget, page) hands us.
import type { ReactNode } from 'react';
import { createRoot } from 'react-dom/client';

/** Render `node` into `host`; the returned function unmounts it again. */
export function mount(host: HTMLElement, node: ReactNode): () => void {
  const root = createRoot(host);
  root.render(node);
  return () => {
    root.unmount();
  };
}
