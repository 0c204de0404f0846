// What the tests of the components share: views of a session as a stream would give them, and a place to render into.
// Imported by tests alone.
import type { ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { flushSync } from 'react-dom';

import { parseMessage, emptyState, type Link, type SessionView, type State } from '../stream';
import { Series } from '../stream/series';
import { keyMessage } from '../stream/testing';
import type { SessionSource } from './usesession';

export const NOW_S = 1_763_800_000;

/** A metric's value, as the wire carries it. */
export function metric(value: number | string): unknown {
  return [value, [NOW_S - 1, 'p1', 7]];
}

/** A training in the middle of its second model, as a key frame's state. */
export const RUNNING = {
  attempt: 1,
  status: 'running',
  statusStamp: [NOW_S - 1, 'p1', 7],
  metrics: {
    loss: metric(0.184),
    perplexity: metric(1.202),
    accuracy: metric(0.42),
    grokProgress: metric(45),
    currentStep: metric(450),
    totalSteps: metric(1000),
    currentModel: metric(2),
    totalModels: metric(3),
  },
  startedAt: NOW_S - 36,
  updatedAt: NOW_S - 1,
  steppedAt: NOW_S - 1,
  rows: 1450,
  phases: [{ name: 'initialization', completedAt: NOW_S - 36 }],
  models: [
    { number: 1, loss: 0.021, completed: true },
    { number: 2, loss: 0.184, completed: false },
  ],
  pace: Array.from({ length: 30 }, (_, index) => [NOW_S - 30 + index, 250 + 40 * (index + 1)]),
};

const LINK: Link = { transport: 'websocket', reason: '', offlineSince: null };

/** Build a view; `state` is of the wire, `fields` replace what a stream adds. */
export function viewOf(state: Record<string, unknown>, fields: Partial<SessionView> = {}): SessionView {
  const frame = parseMessage(keyMessage('e', 1, state));
  const parsed: State = frame?.type === 'frame' && frame.key ? frame.state : emptyState();
  return {
    sessionId: 'cognate-7',
    epoch: 'e',
    state: parsed,
    series: curves(),
    coarse: false,
    version: 1,
    link: LINK,
    unsaved: 0,
    unsavedReason: '',
    gap: false,
    trimmed: 0,
    loaded: true,
    deleted: false,
    clockOffset: 0,
    ...fields,
  };
}

/** Two models' losses. */
function curves(): Series {
  const series = new Series();
  const lines = [20, 9].map((count, index) => {
    const steps = Array.from({ length: count }, (_, step) => step * 50);
    return { metric: 'loss', model: index + 1, steps, values: steps.map((_, step) => 2 / (step + 1)) };
  });
  series.load(lines, 29);
  return series;
}

/** A source of views that a test sets. */
export class ViewSource implements SessionSource {
  readonly listeners = new Set<() => void>();
  view: SessionView;

  constructor(view: SessionView) {
    this.view = view;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  /** Give the next view. */
  next(view: SessionView): void {
    this.view = view;
    flushSync(() => {
      for (const listener of this.listeners) listener();
    });
  }
}

/** Something rendered, and how to take it away. */
export interface Rendered {
  readonly host: HTMLElement;
  unmount(): void;
}

/** Render a node into an element of the page. */
export function rendered(node: ReactNode): Rendered {
  const host = document.createElement('div');
  document.body.append(host);
  const root = createRoot(host);
  flushSync(() => {
    root.render(node);
  });
  return {
    host,
    unmount() {
      flushSync(() => {
        root.unmount();
      });
      host.remove();
    },
  };
}

/** Press a control, and let what it changes be painted. */
export function press(host: HTMLElement, name: string): void {
  const button = [...host.querySelectorAll('button')].find(({ textContent }) => textContent.includes(name));
  if (button === undefined) throw new Error(`no button ${name} in ${host.textContent}`);
  flushSync(() => {
    button.click();
  });
}
