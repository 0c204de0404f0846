// Looks closer at a session's curves than its stream does: asks the server for the steps that a chart shows, in as many points
// as it has room for, and lets live rows go on after the answers. One a chart. Owns its timer, its request and what it keeps.
import { systemClock } from './clock';
import type { Clock } from './clock';
import { ALL_STEPS, Finer, parseAnswer, pointCount, spliced } from './finer';
import type { StepRange } from './finer';
import type { Frame } from './messages';
import type { LinePoints } from './series';
import type { State } from './state';
import type { ServerAccess } from './transport';
import type { SessionView } from './view';
import { isPageHidden } from './wakeup';

/** What a lens needs of a stream. */
export interface LensSource {
  readonly view: SessionView;
  /** Call `follower` with each frame that moved the view; the function returned ends that. */
  onApplied(follower: (frame: Frame) => void): () => void;
}

/** Points of a line: two for each pixel of a wide chart. A metric has at most what a server gives. */
const POINTS = 2_000;
const MOST_POINTS = 20_000;
/** Of these in a range so many have to be there already for nothing to be asked. */
const ENOUGH = 0.6;
/** A range is asked for with some more on both sides, so that lines go on to the edges and a small move finds its points. */
const MARGIN = 0.1;
/** Who zooms is asked to hold still for so long. */
const SETTLED_MS = 150;
/** An answer may take so long, and after none so long is waited. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 10_000;
/** Answers that are kept for the way back. */
const KEPT = 6;

interface Asking {
  readonly metric: string;
  readonly range: StepRange;
  readonly abort: AbortController;
  /** What was applied since: none of it may be missing behind the answer. */
  readonly frames: Frame[];
}

export class Lens {
  /** Told when there is something finer to be drawn. */
  onFiner: (() => void) | null = null;
  readonly #source: LensSource;
  readonly #server: ServerAccess;
  readonly #clock: Clock;
  readonly #unfollow: () => void;
  // What was answered, the newest last, and what is being asked for.
  #known: readonly Finer[] = [];
  #asking: Asking | null = null;
  #cancelTimer: (() => void) | null = null;
  #restsUntil = 0;

  constructor(source: LensSource, server: ServerAccess, clock: Clock = systemClock) {
    this.#source = source;
    this.#server = server;
    this.#clock = clock;
    this.#unfollow = source.onApplied((frame) => { this.#take(frame); });
  }

  /** See that there are points enough of what is shown now: asks for them where not. Called with each drawing, while it can be seen. */
  look(metric: string, range: StepRange = ALL_STEPS): void {
    if (!this.#lacks(metric, range)) {
      this.#leave();
      return;
    }
    const asking = this.#asking;
    if (asking?.metric === metric && covers(asking.range, range) && isOf(asking.range, range)) return;
    this.#leave();
    if (this.#clock.now() < this.#restsUntil) return;
    const next: Asking = { metric, range: widened(range), abort: new AbortController(), frames: [] };
    this.#asking = next;
    this.#cancelTimer = this.#clock.after(SETTLED_MS, () => { void this.#ask(next); });
  }

  /** Return the curves of a metric with all that is known of a range, models in order. */
  lines(metric: string, range: StepRange = ALL_STEPS): readonly LinePoints[] {
    const base = this.#source.view.series.points(metric);
    const all = this.#covering(metric, ALL_STEPS);
    const whole = all === undefined ? base : spliced(base, all.lines(), ALL_STEPS);
    if (range === ALL_STEPS) return whole;
    const covering = this.#covering(metric, range);
    const near = covering === all ? this.#touching(metric, range) : covering;
    return near === undefined ? whole : spliced(whole, near.lines(), near.range);
  }

  /** Ask for nothing more, and forget what was answered. */
  close(): void {
    this.#leave();
    this.#unfollow();
    this.#known = [];
    this.onFiner = null;
  }

  #lacks(metric: string, range: StepRange): boolean {
    const { link, series, state, trimmed, coarse } = this.#source.view;
    // The kernel can't be asked; and what came in few points is soon sent in more, or the link is too slow for it.
    if (link.transport !== 'websocket' && link.transport !== 'http') return false;
    if (coarse && range === ALL_STEPS) return false;
    const base = series.points(metric);
    if (state.rows - trimmed <= pointCount(base)) return false;
    const known = this.#covering(metric, range);
    if (known === undefined || known.outgrown || (known.ragged && isOver(state))) return true;
    return !known.complete && pointCount(known.lines(), range) < ENOUGH * Math.min(known.rows, pointsFor(base.length));
  }

  async #ask(asking: Asking): Promise<void> {
    if (isPageHidden()) {
      this.#leave();
      return;
    }
    const { view } = this.#source;
    this.#cancelTimer = this.#clock.after(PATIENCE_MS, () => { asking.abort.abort(); });
    const answer = await this.#answer(asking, view);
    // Superseded in the meantime.
    if (this.#asking !== asking) return;
    this.#leave();
    const { epoch, state } = this.#source.view;
    const finer = answer?.epoch === epoch && answer.attempt === state.attempt ? new Finer(asking.metric, asking.range, answer) : null;
    if (finer === null || !asking.frames.every((frame) => finer.take(frame))) {
      this.#restsUntil = this.#clock.now() + RETRY_MS;
      return;
    }
    this.#known = [...this.#known, finer].slice(-KEPT);
    this.onFiner?.();
  }

  async #answer({ metric, range, abort }: Asking, { sessionId, series }: SessionView): Promise<ReturnType<typeof parseAnswer>> {
    const points = pointsFor(series.points(metric).length) * (range === ALL_STEPS ? 1 : 1 + 2 * MARGIN);
    // Quoted by itself: a name may hold the comma that stands between two.
    const query: Record<string, string> = {
      metrics: encodeURIComponent(metric),
      max_points: String(Math.min(MOST_POINTS, Math.round(points))),
    };
    if (Number.isFinite(range.from)) query['from_step'] = String(range.from);
    if (Number.isFinite(range.to)) query['to_step'] = String(range.to);
    try {
      const path = `api/sessions/${encodeURIComponent(sessionId)}/series`;
      const response = await this.#server.request(path, { query, signal: abort.signal, cache: 'no-store' });
      return response.ok ? parseAnswer(await response.text()) : null;
    } catch {
      // No answer, or nobody waits for it any more: what the page holds is shown as before.
      return null;
    }
  }

  /** Ask for nothing while nobody looks. */
  rest(): void {
    this.#leave();
  }

  #leave(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#asking?.abort.abort();
    this.#asking = null;
  }

  #take(frame: Frame): void {
    this.#asking?.frames.push(frame);
    this.#known = this.#known.filter((finer) => finer.take(frame));
  }

  /** Return the narrowest answer that has all of a range, the newest of several. */
  #covering(metric: string, range: StepRange): Finer | undefined {
    return this.#known
      .filter((finer) => finer.metric === metric && covers(finer.range, range))
      .reduce<Finer | undefined>((best, finer) => (best === undefined || covers(best.range, finer.range) ? finer : best), undefined);
  }

  #touching(metric: string, { from, to }: StepRange): Finer | undefined {
    return this.#known.findLast(({ metric: of, range }) => of === metric && range.from <= to && range.to >= from && range !== ALL_STEPS);
  }
}

function pointsFor(lines: number): number {
  return Math.min(MOST_POINTS, POINTS * Math.max(1, lines));
}

function covers(outer: StepRange, inner: StepRange): boolean {
  return outer.from <= inner.from && outer.to >= inner.to;
}

/** Say whether no more is to be expected. */
function isOver({ status, lost }: State): boolean {
  return lost || status === 'completed' || status === 'error';
}

/** Say whether a range that was asked for is that of what is shown now, and not a much wider one. */
function isOf(asked: StepRange, shown: StepRange): boolean {
  const width = (range: StepRange): number => range.to - range.from;
  return asked.to === Infinity ? shown.to === Infinity : width(asked) <= 1.5 * width(shown);
}

function widened(range: StepRange): StepRange {
  if (range === ALL_STEPS) return range;
  const { from, to } = range;
  const more = (to === Infinity ? 0 : to - from) * MARGIN;
  return { from: Math.floor(from - more), to: Math.ceil(to + more) };
}
