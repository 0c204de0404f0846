// Time as the stream sees it, so that tests can count timers and turn the clock. Called by everything in stream/ that waits.

/** A clock and its timers. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Call back once after some milliseconds; the function returned cancels that, any number of times. */
  after(delayMs: number, callback: () => void): () => void;
}

/** The browser's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};
