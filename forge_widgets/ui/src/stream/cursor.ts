// Where a viewer stands in a log, and what it makes of the frames that come: apply, drop, or ask again. The rules of
// docs/PROTOCOL.md without any I/O: the transports may repeat, reorder and lose. Called by the session stream.
import type { DeltaFrame, Frame, KeyFrame } from './messages';
import { isRows, lastOffset, recordAfter } from './records';
import type { Cursor, LogRecord } from './records';
import { Series } from './series';
import { emptyState, fold } from './state';
import type { State } from './state';

/** `applied`: the view moved forward. `dropped`: nothing new. `hole`: something is missing, be it points of curves: ask again. */
export type Outcome = 'applied' | 'dropped' | 'hole';

/** What a viewer has of one session. */
export class CursorClient {
  readonly series = new Series();
  #position: Cursor | null = null;
  #folded: State = emptyState();
  #missed = false;
  #trimmed = 0;
  // Points of the key frame that the curves began with, where its sender had more.
  #fewPoints = Infinity;

  /** The last position that was applied; null before the first frame. */
  get cursor(): Cursor | null {
    return this.#position;
  }

  get state(): State {
    return this.#folded;
  }

  /** True where records of the state's attempt were only seen in a key frame, after a cursor that was not honoured. */
  get gap(): boolean {
    return this.#missed;
  }

  /** Step rows of the state's attempt that were trimmed from the log before they could be seen here. */
  get trimmed(): number {
    return this.#trimmed;
  }

  /** Whether the curves came in fewer points than there were. */
  get coarse(): boolean {
    return this.#fewPoints < Infinity;
  }

  /** Take a frame. The view never moves backwards within an epoch. */
  take(frame: Frame): Outcome {
    return frame.key ? this.#takeKey(frame) : this.#takeDelta(frame);
  }

  #takeKey(frame: KeyFrame): Outcome {
    const known = this.#position;
    const same = known?.epoch === frame.epoch;
    // At the same place a frame is news only where it has the points that ours lacked.
    const points = frame.series.reduce((sum, { steps }) => sum + steps.length, 0);
    const finer = this.coarse && (!frame.coarse || points > this.#fewPoints);
    if (same && (finer ? frame.to < known.offset : frame.to <= known.offset)) return finer ? 'hole' : 'dropped';
    this.#fewPoints = frame.coarse ? points : Infinity;
    const goesOn = same && frame.state.attempt === this.#folded.attempt;
    this.#missed = goesOn && (this.#missed || !frame.recovered);
    this.#folded = frame.state;
    this.#trimmed = frame.trimmed;
    this.series.load(frame.series, frame.state.rows - frame.trimmed);
    this.#position = { epoch: frame.epoch, offset: frame.to };
    return 'applied';
  }

  #takeDelta(frame: DeltaFrame): Outcome {
    const known = this.#position;
    if (known?.epoch !== frame.epoch) return 'hole';
    if (frame.to <= known.offset) return 'dropped';
    if (frame.from > known.offset + 1) return 'hole';
    // An outline is of all its rows: of some of them it says nothing.
    if (frame.from <= known.offset && frame.records.some(({ body }) => isRows(body) && body.outline !== undefined)) return 'hole';
    for (const record of frame.records) {
      if (lastOffset(record) > known.offset) this.#takeRecord(recordAfter(record, known.offset));
    }
    this.#position = { epoch: frame.epoch, offset: frame.to };
    return 'applied';
  }

  #takeRecord(record: LogRecord): void {
    if (record.attempt > this.#folded.attempt) {
      this.series.clear();
      this.#missed = false;
      this.#trimmed = 0;
      this.#fewPoints = Infinity;
    }
    this.#folded = fold(this.#folded, record);
    if (record.attempt === this.#folded.attempt) this.series.add(record);
  }
}
