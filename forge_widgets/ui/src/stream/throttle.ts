// Something that is asked for often and done seldom: at once the first time, then once in a while with whatever came since.
// Called for telling listeners, and for asking again after a hole.
import type { Clock } from './clock';

export class Throttle {
  readonly #clock: Clock;
  readonly #spacingMs: () => number;
  readonly #action: () => void;
  #doneAt = -Infinity;
  #cancelTimer: (() => void) | null = null;

  constructor(clock: Clock, spacingMs: () => number, action: () => void) {
    this.#clock = clock;
    this.#spacingMs = spacingMs;
    this.#action = action;
  }

  /** Ask for the action: it is done now, or when the spacing since the last time is over. */
  request(): void {
    if (this.#cancelTimer !== null) return;
    // A clock set back must not put the next time off for long.
    const since = Math.max(0, this.#clock.now() - this.#doneAt);
    if (since >= this.#spacingMs()) this.#run();
    else this.#cancelTimer = this.#clock.after(this.#spacingMs() - since, () => { this.#run(); });
  }

  /** Do at once what is due later. */
  flush(): void {
    if (this.#cancelTimer !== null) this.#run();
  }

  /** Forget what was asked for. */
  cancel(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #run(): void {
    this.cancel();
    this.#doneAt = this.#clock.now();
    this.#action();
  }
}
