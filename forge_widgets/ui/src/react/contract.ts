// What the React package promises to those who use it: the shapes that come out, and what goes in. Types only, of this
// file alone, so that the package's declarations are whole without the rest of the front end.
import type { CSSProperties } from 'react';

/** What a session can be; `waiting`: nothing recorded yet. */
export type ProgressStatus = 'waiting' | 'running' | 'paused' | 'completed' | 'error';

/** The nine metrics that every training has, and the user's own by their names. A number that is not finite is null. */
export interface ProgressMetrics {
  readonly loss: number | null;
  readonly perplexity: number | null;
  /** Per cent. */
  readonly grokProgress: number | null;
  readonly currentStep: number | null;
  readonly totalSteps: number | null;
  /** From 1. */
  readonly currentModel: number | null;
  readonly totalModels: number | null;
  readonly learningRate: number | null;
  readonly accuracy: number | null;
  readonly [name: string]: number | null;
}

/** What a metric was that is null. */
export type Nonfinite = Readonly<Record<string, 'NaN' | 'Infinity' | '-Infinity'>>;

/**
 * How the session is reached. `idle`: there is no session to follow; `connecting`: ways are being tried; `websocket`, `http`:
 * this one delivers; `offline`: none does, what is known stays; `deleted`: the session was deleted, nothing more will come.
 */
export type ProgressTransport = 'idle' | 'connecting' | 'websocket' | 'http' | 'offline' | 'deleted';

/** Which way a session is reached, why not a better one, and since when. */
export interface ProgressConnection {
  readonly transport: ProgressTransport;
  /** In words for people; "" where there is nothing to say. */
  readonly reason: string;
  /** Milliseconds since the epoch by the local clock; null where idle. */
  readonly since: number | null;
}

/** Something that happened once, as the contract's messages tell it. Steps are no such events. */
export interface LifecycleEvent {
  readonly eventType:
    | 'training_started'
    | 'model_completed'
    | 'phase_completed'
    | 'training_error'
    | 'connection_lost'
    | 'control'
    | 'alert'
    | 'annotation';
  readonly sessionId: string;
  readonly message: string;
  /** A phase's or annotation's name, else "". */
  readonly name: string;
  /** The text of a training_error, else "". */
  readonly error: string;
  /** What the event itself recorded. */
  readonly metrics: Readonly<Record<string, number | null>>;
  /** ISO 8601, UTC. */
  readonly timestamp: string;
}

/** Where a session is looked for. */
export interface ProgressSource {
  /**
   * The server, as ws, wss, http or https, with a path where there is one (a Jupyter's ends in `/forge`), or a path of the page's
   * own server. `ws://localhost:8001` by default. A `?token=` in it counts as `token`.
   */
  readonly websocketUrl?: string | undefined;
  /** The server's token, where it asks for one. */
  readonly token?: string | undefined;
  /** Milliseconds from poll to poll where no WebSocket comes through: 1000 by default, at least 50. */
  readonly fallbackPollingInterval?: number | undefined;
}

/** Who wants to be told. Each is told of the newest, at most 20 times a second, and never of an older one after that. */
export interface ProgressCallbacks {
  readonly onMetricsUpdate?: ((metrics: ProgressMetrics, nonfinite: Nonfinite) => void) | undefined;
  readonly onStatusUpdate?: ((status: ProgressStatus) => void) | undefined;
  /** Told of each error of the training once, and of one that it has already ended with. */
  readonly onError?: ((error: string) => void) | undefined;
  /** Told of each lifecycle event once, in order, whichever way they came; of those before the page was there, only the error. */
  readonly onEvent?: ((event: LifecycleEvent) => void) | undefined;
}

/** How the status box looks. */
export interface ProgressAppearance {
  /** Where it stands: in the page's flow (the default), or over the page in one of its corners. */
  readonly position?: 'inline' | 'top-left' | 'top-right' | 'bottom-left' | 'bottom-right' | undefined;
  /** `auto`, the default, takes on the colours around it. */
  readonly theme?: 'auto' | 'light' | 'dark' | undefined;
  readonly className?: string | undefined;
  readonly style?: CSSProperties | undefined;
}

/** Options of `useWebSocketProgress`. */
export type UseWebSocketProgressOptions = ProgressSource & ProgressCallbacks;

/** Props of `WebSocketProgress`. */
export interface WebSocketProgressProps extends ProgressSource, ProgressCallbacks, ProgressAppearance {
  /** null: nothing is followed, and nothing shown. */
  readonly sessionId: string | null | undefined;
}
