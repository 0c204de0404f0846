// Tells one user's callbacks what happens to one target: each event and each error once, of states only the newest, and only
// what changed. A callback that throws is reported and stops nobody. Owned by the hook of those callbacks.
import type { ProgressCallbacks, ProgressMetrics, ProgressStatus } from './contract';
import type { Happening } from './happenings';
import type { Progress } from './progress';

export class Teller {
  readonly key: string;
  readonly #callbacks: { readonly current: ProgressCallbacks };
  #metrics: ProgressMetrics | null = null;
  #status: ProgressStatus | null = null;
  #errorStamp = '';

  /** `callbacks.current` are asked for each time. */
  constructor(key: string, callbacks: { readonly current: ProgressCallbacks }) {
    this.key = key;
    this.#callbacks = callbacks;
  }

  happened({ stamp, event }: Happening): void {
    const { onEvent, onError } = this.#callbacks.current;
    attempt(() => onEvent?.(event));
    if (event.eventType !== 'training_error') return;
    this.#errorStamp = stamp;
    attempt(() => onError?.(event.error));
  }

  /** Tell the error that a session stands at, unless it was told. */
  found(failing: Happening | null): void {
    if (failing !== null && failing.stamp !== this.#errorStamp) this.happened(failing);
  }

  progressed({ loaded, metrics, nonfinite, status }: Progress): void {
    if (!loaded) return;
    const { onMetricsUpdate, onStatusUpdate } = this.#callbacks.current;
    if (metrics !== null && metrics !== this.#metrics) {
      this.#metrics = metrics;
      attempt(() => onMetricsUpdate?.(metrics, nonfinite));
    }
    if (status !== this.#status) {
      this.#status = status;
      attempt(() => onStatusUpdate?.(status));
    }
  }
}

function attempt(callback: () => unknown): void {
  try {
    callback();
  } catch (error) {
    // The page's own way of hearing of it: window.onerror, and the console.
    queueMicrotask(() => { throw error; });
  }
}
