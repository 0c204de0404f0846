import { createRoot } from 'react-dom/client';
import { flushSync } from 'react-dom';
import { expect, it } from 'vitest';

import { NumberText } from './NumberText';

it('shows a rounded number and keeps the exact one in the tooltip', () => {
  const host = document.createElement('div');
  const root = createRoot(host);
  flushSync(() => {
    root.render(<NumberText value={0.18444444} />);
  });
  expect(host.textContent).toBe('0.1844');
  expect(host.querySelector('span')?.title).toBe('0.18444444');
  root.unmount();
  expect(host.childElementCount).toBe(0);
});
