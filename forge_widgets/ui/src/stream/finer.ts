// Curves in more points than a stream holds: what the series route answered (docs/PROTOCOL.md, "Series"), the live rows that
// go on after it, and both put into the curves that a view has. Pure. Called by the lens.
import { finite, listOf, Malformed, object, text } from './json';
import type { Frame, KeyFrame } from './messages';
import { COORDINATES } from './metrics';
import { isRows, lastOffset, recordAfter, rowCount } from './records';
import type { Column, LogRecord, Rows } from './records';
import { Series } from './series';
import type { LinePoints } from './series';
import { stretches } from './stretches';

/** Steps, both ends included. */
export interface StepRange {
  readonly from: number;
  readonly to: number;
}

/** Rows after an answer that its tail holds without thinning. */
const KEPT_WHOLE = 400;

/** Every step. */
export const ALL_STEPS: StepRange = { from: -Infinity, to: Infinity };

/** What the route answers for one metric. */
export interface Answer {
  readonly epoch: string;
  /** The newest offset that is in it. */
  readonly top: number;
  readonly attempt: number;
  /** Models in order. */
  readonly lines: readonly LinePoints[];
  /** Values that the points stand for. */
  readonly rows: number;
}

const curve = /* @__PURE__ */ object({ metric: text, model: finite, steps: listOf(finite), values: listOf(finite), rows: finite });
const curves = /* @__PURE__ */ object({ epoch: text, top: finite, attempt: finite, series: /* @__PURE__ */ listOf(curve) });

/** Read an answer; null where it is none. */
export function parseAnswer(body: string): Answer | null {
  try {
    const { series, ...read } = curves(JSON.parse(body));
    if (series.some(({ steps, values }) => steps.length !== values.length)) return null;
    return { ...read, lines: series, rows: series.reduce((sum, { rows }) => sum + rows, 0) };
  } catch (error) {
    if (error instanceof Malformed || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** An answer that goes on with what comes live: no row after its `top` is missing, and none up to it comes twice. */
export class Finer {
  readonly metric: string;
  readonly range: StepRange;
  readonly #answer: Answer;
  // What came after the answer, kept as the stream keeps its own curves; how many rows, and up to which offset.
  readonly #tail = new Series();
  #grown = 0;
  #top: number;
  // Both in one, until another row comes.
  #lines: readonly LinePoints[] | null = null;

  constructor(metric: string, range: StepRange, answer: Answer) {
    this.metric = metric;
    this.range = range;
    this.#answer = answer;
    this.#top = answer.top;
  }

  /** Values that it stands for by now. */
  get rows(): number {
    return this.#answer.rows + this.#grown;
  }

  /** Whether every value is a point: nothing finer can be asked for. */
  get complete(): boolean {
    return this.#grown <= KEPT_WHOLE && this.#answer.rows === pointCount(this.#answer.lines);
  }

  /** Whether more rows came than it stands for, and than the curves of a stream hold without thinning: time to ask again. */
  get outgrown(): boolean {
    return this.#grown > Math.max(this.#answer.rows, KEPT_WHOLE);
  }

  /** Whether a part that can be seen is told more coarsely than the rest: time to ask again where no more comes. */
  get ragged(): boolean {
    return this.#grown > Math.max(this.#answer.rows / 10, KEPT_WHOLE);
  }

  /** Go on with a frame that was applied; false where it belongs to another log or attempt, which ends this. */
  take(frame: Frame): boolean {
    const { epoch, attempt } = this.#answer;
    if (frame.epoch !== epoch) return false;
    if (frame.to <= this.#top) return true;
    if (frame.key) {
      if (frame.state.attempt !== attempt) return false;
      this.#takeKey(frame);
    } else {
      if (frame.records.some((record) => record.attempt > attempt)) return false;
      for (const record of frame.records) if (record.attempt === attempt) this.#takeRecord(record);
    }
    this.#top = frame.to;
    this.#lines = null;
    return true;
  }

  /** Return the curves, models in order; the same ones until more comes. */
  lines(): readonly LinePoints[] {
    this.#lines ??= this.#tail.points(this.metric).reduce(withTail, this.#answer.lines);
    return this.#lines;
  }

  #takeRecord(record: LogRecord): void {
    if (lastOffset(record) <= this.#top) return;
    if (!isRows(record.body)) {
      this.#tail.add(record);
      if (record.body.eventType === 'step_update') this.#grown += 1;
      return;
    }
    const { outline } = record.body;
    const after = outline === undefined ? recordAfter(record, this.#top) : record;
    const body = this.#own(after.body as Rows, record.offset <= this.#top);
    if (body === null) return;
    this.#tail.add({ ...after, body });
    this.#grown += rowCount(body);
  }

  /** Leave the metric alone, and of an outline that begins before our top what came after it; null where no step is in our range. */
  #own(rows: Rows, begun: boolean): Rows | null {
    const steps = rows.columns.get('currentStep') ?? [];
    const { from, to } = this.range;
    if (!steps.some((step) => step !== null && step >= from && step <= to)) return null;
    const columns = new Map<string, Column>();
    for (const [name, column] of rows.columns) {
      if (name === this.metric || COORDINATES.has(name)) columns.set(name, column);
    }
    if (rows.outline === undefined || !begun) return { ...rows, columns };
    const last = this.#lastStep(rows.columns.get('currentModel')?.[0] ?? 1);
    const lines = rows.outline.lines.map((each) => ({ ...each, points: each.points.filter(([step]) => step > last) }));
    return { ...rows, columns, outline: { ...rows.outline, lines } };
  }

  /** Rows that came in the curves of a key frame alone: of each line what lies behind ours. */
  #takeKey(frame: KeyFrame): void {
    for (const { metric, model, steps, values } of frame.series) {
      if (metric !== this.metric) continue;
      const last = this.#lastStep(model);
      const behind = steps.findLastIndex((step) => !(step > last)) + 1;
      const [more, there] = [steps.slice(behind), values.slice(behind)];
      // As rows that they are of: a series takes nothing else.
      const columns = new Map<string, Column>([['currentStep', more], ['currentModel', more.map(() => model)], [metric, there]]);
      const body: Rows = { timestamps: more, columns, thinned: 0 };
      this.#tail.add({ offset: frame.to, attempt: frame.state.attempt, producer: '', sequence: 0, body });
      this.#grown += more.length;
    }
  }

  #lastStep(model: number): number {
    return this.lines().find((each) => each.model === model)?.steps.at(-1) ?? -Infinity;
  }
}

/** Return the curves with what came after one of them, or with one more. */
function withTail(lines: readonly LinePoints[], tail: LinePoints): readonly LinePoints[] {
  const before = lines.filter(({ model }) => model < tail.model);
  const same = lines.filter(({ model }) => model === tail.model);
  return [...before, joined([...same, tail]), ...lines.filter(({ model }) => model > tail.model)];
}

/** Count the points of curves that lie in a range. */
export function pointCount(lines: readonly LinePoints[], { from, to } = ALL_STEPS): number {
  return lines.reduce((sum, { steps }) => sum + steps.filter((step) => step >= from && step <= to).length, 0);
}

/**
 * Put finer curves of a range into those that are there; models in order. Points that are there stay: a stream's curves keep
 * every extreme, and those that show most of a shape may leave one out.
 */
export function spliced(base: readonly LinePoints[], finer: readonly LinePoints[], range: StepRange): readonly LinePoints[] {
  const known = new Map(base.map((each) => [each.model, each]));
  for (const each of finer) {
    const before = known.get(each.model);
    known.set(each.model, before === undefined ? each : withNewest(splicedLine(before, each, range), before));
  }
  return [...known.values()].sort((one, other) => one.model - other.model);
}

/** A curve may pass through the range several times, and the finer one then does as often. */
function splicedLine(base: LinePoints, finer: LinePoints, range: StepRange): LinePoints {
  const parts = stretches(base);
  const through = parts.filter(({ steps }) => (steps[0] ?? NaN) <= range.to && (steps.at(-1) ?? NaN) >= range.from);
  const passes = stretches(finer);
  const [first, last] = [through[0], through.at(-1)];
  if (first === undefined || last === undefined) return joined([base, finer]);
  const below = (part: LinePoints): LinePoints => chosen(part, (step) => step < range.from);
  const above = (part: LinePoints): LinePoints => chosen(part, (step) => step > range.to);
  const within = (step: number): boolean => step >= range.from && step <= range.to;
  if (through.length === passes.length) {
    return joined(parts.flatMap((part) => {
      const pass = passes[through.indexOf(part)];
      return pass === undefined ? [part] : [below(part), interleaved(chosen(part, within), pass), above(part)];
    }));
  }
  // So coarse that a pass is not to be seen in it: the finer one alone tells what was between.
  const [earlier, later] = [parts.slice(0, parts.indexOf(first)), parts.slice(parts.indexOf(last) + 1)];
  return joined([...earlier, below(first), finer, above(last), ...later]);
}

function chosen(part: LinePoints, keep: (step: number) => boolean): LinePoints {
  const kept = part.steps.map(keep);
  return { ...part, steps: part.steps.filter((_, index) => kept[index]), values: part.values.filter((_, index) => kept[index]) };
}

/** Put two curves through the same steps into one; a point that both have comes once. */
function interleaved(coarse: LinePoints, fine: LinePoints): LinePoints {
  const [steps, values]: [number[], number[]] = [[], []];
  let next = 0;
  const coarseUpTo = (step: number, value: number): void => {
    for (; next < coarse.steps.length; next += 1) {
      const [at = 0, there = 0] = [coarse.steps[next], coarse.values[next]];
      if (at > step) return;
      if (at === step && isAlike(there, value)) continue;
      steps.push(at);
      values.push(there);
    }
  };
  fine.steps.forEach((step, index) => {
    const value = fine.values[index] ?? NaN;
    coarseUpTo(step, value);
    steps.push(step);
    values.push(value);
  });
  coarseUpTo(Infinity, NaN);
  return { ...fine, steps, values };
}

/** Values of few points come with six digits. */
function isAlike(one: number, other: number): boolean {
  return Math.abs(one - other) <= 1e-5 * Math.abs(other);
}

/** A newest value that is no number stays the newest: no answer has it, and it says that a training went astray. */
function withNewest(line: LinePoints, before: LinePoints): LinePoints {
  if (!Number.isNaN(before.values.at(-1)) || Number.isNaN(line.values.at(-1))) return line;
  return joined([line, { ...before, steps: before.steps.slice(-1), values: before.values.slice(-1) }]);
}

/** Put parts of one line one behind the other. */
function joined(parts: readonly LinePoints[]): LinePoints {
  const [first] = parts;
  return {
    metric: first?.metric ?? '',
    model: first?.model ?? 1,
    steps: parts.flatMap(({ steps }) => steps),
    values: parts.flatMap(({ values }) => values),
  };
}
