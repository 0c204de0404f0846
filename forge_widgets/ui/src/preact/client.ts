// react-dom/client as far as mount.ts uses it, on preact alone. Only build.mjs names this file.
import { render, type ComponentChildren } from 'preact';

/** A root that renders into `host`. */
export interface Root {
  render(node: ComponentChildren): void;
  unmount(): void;
}

/** Return a root that renders into `host`. */
export function createRoot(host: Element): Root {
  return {
    render(node) {
      render(node, host);
    },
    unmount() {
      render(null, host);
    },
  };
}
