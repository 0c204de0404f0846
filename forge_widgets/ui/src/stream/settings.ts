// How long the stream waits for what, and how it takes rows. One place; overridden by hosts' settings and by tests.

/** Times in milliseconds. */
export interface StreamSettings {
  /** Without a welcome for this long a WebSocket is given up. */
  readonly welcomeTimeoutMs: number;
  /** Failures in a row after which the next worse transport is tried as well. */
  readonly socketFailures: number;
  /** Heartbeats that may stay away before a link is dead, and how often they come where no welcome said so. */
  readonly missedHeartbeats: number;
  readonly heartbeatMs: number;
  /** Full-jitter back-off: between 0 and base after the first failure, twice as much after each other one, at most the cap. */
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  /** A connection that lasted this long was a good one: its end is no failure. */
  readonly stableMs: number;
  /** How often a server that keeps another store, or refuses us, is asked again. */
  readonly seldomMs: number;
  /** Seconds that a long poll asks for; 0 polls plainly. */
  readonly longPollS: number;
  /** From poll to poll where nothing was new and where something was. */
  readonly pollIdleMs: number;
  readonly pollBusyMs: number;
  /** So long after a frame of few points a slow link is asked for more. */
  readonly finerMs: number;
  /** An answer may take this long beyond what a long poll asks for. */
  readonly answerTimeoutMs: number;
  /** After waking up a link has this long to show that it lives. */
  readonly checkTimeoutMs: number;
  /** From one ask-again to the next while a hole stays open. */
  readonly resumeSpacingMs: number;
  /** Listeners are told at most this often, while the page is shown and while it is hidden. */
  readonly notifyMs: number;
  readonly notifyHiddenMs: number;
  /** How the server sends rows in brief: every one, or outlined where they come fast. */
  readonly brief: 'rows' | 'outline';
}

export const DEFAULT_SETTINGS: StreamSettings = {
  welcomeTimeoutMs: 5_000,
  socketFailures: 2,
  missedHeartbeats: 3.5,
  heartbeatMs: 10_000,
  backoffBaseMs: 500,
  backoffCapMs: 15_000,
  stableMs: 10_000,
  seldomMs: 60_000,
  longPollS: 10,
  pollIdleMs: 1_000,
  pollBusyMs: 250,
  finerMs: 30_000,
  answerTimeoutMs: 5_000,
  checkTimeoutMs: 3_000,
  resumeSpacingMs: 1_000,
  notifyMs: 50,
  notifyHiddenMs: 1_000,
  brief: 'outline',
};
