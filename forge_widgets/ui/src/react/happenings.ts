// The lifecycle events that a session's frames bring, each once and in their order, whichever transport brought them and
// however the frames were cut. Pure. Called by the follower for each frame that moved its view.
import { isRows } from '../stream/records';
import type { Frame, LogRecord, State, TrainingEvent } from '../stream';
import type { LifecycleEvent } from './contract';
import { finiteOf } from './progress';

/** A lifecycle event; `stamp` tells it from any other. */
export interface Happening {
  readonly stamp: string;
  readonly event: LifecycleEvent;
}

export class Happenings {
  readonly #sessionId: string;
  #epoch = '';
  #offset = 0;
  #attempt = 0;
  #errorStamp = '';
  #pending: Happening[] = [];

  constructor(sessionId: string) {
    this.#sessionId = sessionId;
  }

  /** Take a frame that was applied. One that replaces all without saying what happened still tells the error it stands at. */
  take(frame: Frame): void {
    const goesOn = frame.epoch === this.#epoch;
    if (!goesOn) this.#attempt = 0;
    const records = frame.key ? frame.events : frame.records;
    for (const record of records) if (!goesOn || record.offset > this.#offset) this.#hear(record);
    if (frame.key) {
      this.#attempt = frame.state.attempt;
      const failing = failingOf(frame.state, this.#sessionId);
      if (failing !== null && failing.stamp !== this.#errorStamp) {
        this.#errorStamp = failing.stamp;
        this.#pending.push(failing);
      }
    }
    this.#epoch = frame.epoch;
    this.#offset = frame.to;
  }

  /** Return what happened since this was asked last. */
  drain(): readonly Happening[] {
    const drained = this.#pending;
    this.#pending = [];
    return drained;
  }

  #hear(record: LogRecord): void {
    // What an earlier attempt still sends changes nothing.
    if (record.attempt < this.#attempt) return;
    this.#attempt = record.attempt;
    const { body } = record;
    if (isRows(body) || body.eventType === 'step_update') return;
    const stamp = stampOf([body.timestamp, record.producer, record.sequence]);
    if (body.eventType === 'training_error') this.#errorStamp = stamp;
    this.#pending.push({ stamp, event: lifecycleEvent(this.#sessionId, body.eventType, body) });
  }
}

/** Return the error that a session stands at; null where there is none. */
export function failingOf(state: State, sessionId: string): Happening | null {
  const { status, error, statusStamp } = state;
  if (status !== 'error' || error === '') return null;
  const told = { timestamp: statusStamp[0], metrics: [], message: '', name: '', error };
  return { stamp: stampOf(statusStamp), event: lifecycleEvent(sessionId, 'training_error', told) };
}

type Told = Pick<TrainingEvent, 'timestamp' | 'message' | 'name' | 'error'> & { readonly metrics: Iterable<readonly [string, number]> };

function lifecycleEvent(sessionId: string, eventType: LifecycleEvent['eventType'], told: Told): LifecycleEvent {
  const { message, name, error, metrics, timestamp } = told;
  return { eventType, sessionId, message, name, error, metrics: finiteOf(metrics), timestamp: isoTime(timestamp) };
}

function isoTime(seconds: number): string {
  // The greatest time that a Date holds; a producer's clock may say anything.
  return new Date(Math.min(Math.max(seconds * 1000, 0), 8.64e15)).toISOString();
}

function stampOf(stamp: readonly [number, string, number]): string {
  return JSON.stringify(stamp);
}
