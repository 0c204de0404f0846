import type { RenderProps } from '@anywidget/types';
import { afterEach, expect, it, vi } from 'vitest';

import { keyMessage, until } from '../stream/testing';
import { RUNNING } from '../components/testing';
import chart from './chart';
import type { SessionTraits } from './model';
import { TestModel } from './testing';
import widget from './widget';

const WELCOME = { type: 'welcome', protocol: 1, sessionId: 's', storeId: 'store-1', heartbeatSeconds: 10, timestamp: 0 };

type Render = (props: RenderProps<never>) => unknown;

/** Render as anywidget does; returns the clean-up. */
function render(script: { render?: unknown }, model: TestModel<SessionTraits>, el: HTMLElement): () => void {
  const props = { model: model.model, el } as unknown as RenderProps<never>;
  return (script.render as Render)(props) as () => void;
}

function model(): TestModel<SessionTraits> {
  return new TestModel({ session_id: 's', store_id: 'store-1' });
}

afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

it('shows through the kernel what a page without a server can’t get otherwise', async () => {
  const [kernel, el] = [model(), document.createElement('div')];
  document.body.append(el);
  const end = render(widget, kernel, el);
  kernel.tell(WELCOME);
  kernel.tell(keyMessage('e', 3, RUNNING, { sessionId: 's' }));
  await until('the dashboard', () => el.textContent.includes('step 450'));
  expect(el.textContent).toContain('through the kernel');
  end();
  expect(el.childElementCount).toBe(0);
});

it('follows another session when Python names another', async () => {
  const [kernel, el] = [model(), document.createElement('div')];
  document.body.append(el);
  const end = render(widget, kernel, el);
  await until('the first', () => el.textContent.includes('Looking for s…'));
  kernel.set({ session_id: 'other' });
  await until('the other', () => el.textContent.includes('Looking for other…'));
  end();
  expect(kernel.listening).toBe(0);
});

it('goes on at once when another view of the same model is closed', async () => {
  const kernel = model();
  const els = [0, 1].map(() => document.body.appendChild(document.createElement('div')));
  const [endOne, endOther] = els.map((el) => render(widget, kernel, el));
  kernel.tell(WELCOME);
  kernel.tell(keyMessage('e', 3, RUNNING, { sessionId: 's' }));
  expect(kernel.sent.map(({ type }) => type)).toEqual(['subscribe', 'subscribe']);
  endOne?.();
  expect(kernel.sent.at(-1)).toEqual({ type: 'leave' });
  kernel.tell({ type: 'unsubscribed' });
  await until('the other asks again', () => kernel.sent.at(-1)?.['type'] === 'subscribe');
  expect(kernel.sent.at(-1)).toEqual({ type: 'subscribe', epoch: 'e', after: 3 });
  endOther?.();
});

it('brings its styles once, however many there are', () => {
  const els = [0, 1, 2].map(() => document.body.appendChild(document.createElement('div')));
  const ends = els.map((el) => render(widget, model(), el));
  for (const id of ['forge-widgets-style', 'forge-widgets-chart-style']) {
    expect(document.querySelectorAll(`#${id}`).length).toBe(1);
  }
  for (const end of ends) end();
});

it.each([
  ['dashboard', widget],
  ['chart', chart],
])('a %s leaves neither listeners, timers nor elements behind, a hundred times', async (_, script) => {
  const sockets: string[] = [];
  vi.stubGlobal('WebSocket', function open(url: string) {
    sockets.push(url);
  });
  vi.useFakeTimers();
  const observed = { count: 0 };
  vi.stubGlobal('IntersectionObserver', class {
    observe(): void {
      observed.count += 1;
    }
    disconnect(): void {
      observed.count -= 1;
    }
  });
  const [kernel, el] = [new TestModel({ session_id: 's', store_id: 'store-1', metric: 'loss', log_y: false }), document.createElement('div')];
  document.body.append(el);
  for (let time = 0; time < 100; time += 1) {
    const end = render(script, kernel, el);
    kernel.tell(WELCOME);
    kernel.tell(keyMessage('e', 3, RUNNING, { sessionId: 's' }));
    await vi.advanceTimersByTimeAsync(120);
    expect(kernel.listening).toBeGreaterThan(0);
    end();
  }
  await vi.advanceTimersByTimeAsync(60_000);
  expect(kernel.listening).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
  expect(observed.count).toBe(0);
  expect(el.childElementCount).toBe(0);
  expect(sockets).toEqual([]);
});
