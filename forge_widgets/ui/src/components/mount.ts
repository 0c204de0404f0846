// Puts a view into an element that a host (anywidget, page) hands us, with the styles that it needs there.
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

/** Put a stylesheet once into the document, or shadow root, that `host` is in. It stays: other views share it. */
export function adoptStyles(host: Element, css: string, id: string): void {
  const root = host.getRootNode();
  const place = root instanceof ShadowRoot ? root : host.ownerDocument.head;
  const known = place.querySelector(`#${id}`);
  if (known?.textContent === css) return;
  const style = known ?? host.ownerDocument.createElement('style');
  style.id = id;
  style.textContent = css;
  if (known === null) place.append(style);
}
