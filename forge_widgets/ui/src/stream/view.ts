// What a screen is given of a session: an immutable snapshot that the stream replaces. Types only; called by the components.
import type { Series } from './series';
import type { State } from './state';
import type { Link } from './transport';

/** A session as it is known now. A new object each time that listeners are told. */
export interface SessionView {
  readonly sessionId: string;
  /** The incarnation of the log that this is of; "" before anything was heard of it. */
  readonly epoch: string;
  readonly state: State;
  /** The curves; the same object goes on growing, `version` says when to draw it again. */
  readonly series: Series;
  /** True where the curves came in few points, since the link is slow or not known yet: more will come unasked. */
  readonly coarse: boolean;
  /** Counts up with each new view. */
  readonly version: number;
  readonly link: Link;
  /** Events and rows that producers could not save yet, and why. */
  readonly unsaved: number;
  readonly unsavedReason: string;
  /** True where records of this attempt were only seen thinned, since the log did not reach back to our cursor. */
  readonly gap: boolean;
  /** Step rows of this attempt that were trimmed from the log: the curves begin after them. */
  readonly trimmed: number;
  /** True once anything was heard of the session; a state before that says nothing. */
  readonly loaded: boolean;
  /** True once the session was deleted: nothing more will come. */
  readonly deleted: boolean;
  /** Seconds to add to the local clock to get the server's. */
  readonly clockOffset: number;
}
