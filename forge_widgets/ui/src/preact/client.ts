// What our components use of `react-dom/client`, on preact: see react.ts.
import { render, type ComponentChild } from 'preact';

/** Where a tree of components is rendered. */
export interface Root {
  render(node: ComponentChild): void;
  unmount(): void;
}

/** Render into `host`. */
export function createRoot(host: Element): Root {
  const show = (node: ComponentChild): void => {
    render(node, host);
  };
  return {
    render: show,
    unmount: () => {
      show(null);
    },
  };
}
