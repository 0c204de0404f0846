// Curves of bounded size, the same as forge_widgets/core/series.py (tests/vectors/series.json holds the two together):
// a line keeps the least and the greatest point of each bucket of rows, and when it is full neighbouring buckets merge.
// Grown by the cursor client alone; the components read points.
import { curveNames } from './metrics';
import { isRows } from './records';
import type { LogRecord, Outline, Rows } from './records';

const MAX_BUCKETS = 400;
const MAX_LINES = 120;

type Point = readonly [step: number, value: number];
type Bucket = readonly [Point, Point];

/** One metric of one model, as a key frame carries it and as a chart draws it. */
export interface LinePoints {
  readonly metric: string;
  /** From 1. */
  readonly model: number;
  /** The model's own steps, and the metric's values there. */
  readonly steps: readonly number[];
  readonly values: readonly number[];
}

/** One metric of one model: at most 2 · MAX_BUCKETS points, and the newest. */
export class Line {
  #buckets: Bucket[] = [];
  // Rows that a bucket holds, and how many the newest one holds by now.
  #stride = 1;
  #filled = 0;
  #last: Point | null = null;

  /** Take one more point, which stands for `rows` rows. NaN is kept only as the newest: it has no place among least and greatest. */
  add(step: number, value: number, rows = 1): void {
    const point: Point = [step, value];
    this.#last = point;
    if (Number.isNaN(value)) return;
    const newest = this.#buckets.at(-1);
    if (newest !== undefined && this.#filled < this.#stride) {
      this.#buckets[this.#buckets.length - 1] = merged(newest, [point, point]);
      this.#filled += rows;
      return;
    }
    if (this.#buckets.length >= MAX_BUCKETS) {
      this.#buckets = inPairs(this.#buckets);
      this.#stride *= 2;
    }
    this.#buckets.push([point, point]);
    this.#filled = rows;
  }

  /** Start from points that stand for `rows` rows, so that old rows keep their share of the buckets when new ones come. */
  load(steps: readonly number[], values: readonly number[], rows: number): void {
    const points = steps.map((step, index): Point => [step, values[index] ?? NaN]);
    const finite = points.filter(([, value]) => !Number.isNaN(value));
    this.#last = points.at(-1) ?? null;
    const stood = Math.max(rows, finite.length);
    this.#stride = 1;
    while (stood > this.#stride * MAX_BUCKETS) this.#stride *= 2;
    // Two points are a bucket as it was, and nothing is lost; more are merged only where there are too many.
    const alone = finite.length * this.#stride <= stood;
    const size = alone ? 1 : Math.max(2, Math.ceil(finite.length / (MAX_BUCKETS + 1)));
    this.#buckets = [];
    for (let start = 0; start < finite.length; start += size) {
      this.#buckets.push(finite.slice(start, start + size).map(asBucket).reduce(merged));
    }
    this.#filled = this.#stride;
  }

  /** Return what is kept, in order, each point once, the newest last. */
  points(): readonly Point[] {
    const kept: Point[] = [];
    const keep = (point: Point): void => {
      const before = kept.at(-1);
      if (before?.[0] !== point[0] || before[1] !== point[1]) kept.push(point);
    };
    for (const [first, second] of this.#buckets) {
      keep(first);
      keep(second);
    }
    if (this.#last !== null) keep(this.#last);
    return kept;
  }
}

/** The curves of one attempt: a line for each metric and model, at most MAX_LINES. */
export class Series {
  #lines = new Map<string, Map<number, Line>>();
  #count = 0;

  /** Start from the curves of a key frame; `rows` are the step rows that they stand for. */
  load(curves: readonly LinePoints[], rows: number): void {
    this.clear();
    for (const { metric, model, steps, values } of curves) {
      const all = curves.filter((curve) => curve.metric === metric).reduce((sum, curve) => sum + curve.steps.length, 0);
      this.#line(metric, model)?.load(steps, values, Math.round((rows * steps.length) / Math.max(1, all)));
    }
  }

  /** Take the step rows of a record. */
  add(record: LogRecord): void {
    if (isRows(record.body)) this.#addRows(record.body);
    else if (record.body.eventType === 'step_update') this.#addRow(record.body.metrics);
  }

  #addRows(rows: Rows): void {
    const names = curveNames(rows.columns.keys());
    const steps = rows.columns.get('currentStep');
    const models = rows.columns.get('currentModel');
    if (rows.outline !== undefined) this.#addOutline(rows.outline, rows.columns, modelNumber(models?.[0] ?? 1));
    rows.timestamps.forEach((_, index) => {
      const step = steps?.[index] ?? null;
      if (step === null) return;
      const model = modelNumber(models?.[index] ?? 1);
      for (const name of names) {
        const value = rows.columns.get(name)?.[index] ?? null;
        if (value !== null) this.#line(name, model)?.add(step, value, rows.outline === undefined ? 1 : 0);
      }
    });
  }

  /** Take the least and the greatest of each metric for all of the rows, or the newest where it was the same in all. */
  #addOutline({ count, lines }: Outline, columns: Rows['columns'], model: number): void {
    const step = columns.get('currentStep')?.[0] ?? NaN;
    for (const name of curveNames(columns.keys())) {
      const points = lines.find(({ metric }) => metric === name)?.points ?? [[step, columns.get(name)?.[0] ?? NaN]];
      for (const [at, value] of points) this.#line(name, model)?.add(at, value, count / points.length);
    }
  }

  /** Take one row; a row without `currentStep` has no place on the axis and is passed over. */
  #addRow(metrics: ReadonlyMap<string, number>): void {
    const step = metrics.get('currentStep');
    if (step === undefined) return;
    const model = modelNumber(metrics.get('currentModel') ?? 1);
    for (const name of curveNames(metrics.keys())) this.#line(name, model)?.add(step, metrics.get(name) ?? NaN);
  }

  clear(): void {
    this.#lines.clear();
    this.#count = 0;
  }

  /** Return the metrics that have a curve, `loss` first. */
  metrics(): string[] {
    return curveNames(this.#lines.keys());
  }

  /** Return the curves of one metric, models in order. */
  points(metric: string): readonly LinePoints[] {
    const lines = [...(this.#lines.get(metric) ?? [])].sort(([one], [other]) => one - other);
    return lines.map(([model, line]) => {
      const points = line.points();
      return { metric, model, steps: points.map(([step]) => step), values: points.map(([, value]) => value) };
    });
  }

  #line(metric: string, model: number): Line | null {
    const known = this.#lines.get(metric)?.get(model);
    if (known !== undefined) return known;
    if (this.#count >= MAX_LINES) return null;
    const line = new Line();
    const models = this.#lines.get(metric) ?? new Map<number, Line>();
    this.#lines.set(metric, models.set(model, line));
    this.#count += 1;
    return line;
  }
}

function modelNumber(value: number): number {
  return value >= 1 && value <= 1e9 ? Math.trunc(value) : 1;
}

function asBucket(point: Point): Bucket {
  return [point, point];
}

function inPairs(buckets: readonly Bucket[]): Bucket[] {
  const pairs: Bucket[] = [];
  for (let index = 0; index < buckets.length; index += 2) {
    const [first, second] = [buckets[index], buckets[index + 1]];
    if (first !== undefined) pairs.push(second === undefined ? first : merged(first, second));
  }
  return pairs;
}

/** Return the least and the greatest of two buckets in the order of their coming. */
function merged(earlier: Bucket, later: Bucket): Bucket {
  const points = [...earlier, ...later];
  let least = 0;
  let greatest = 0;
  points.forEach(([, value], index) => {
    if (value < (points[least]?.[1] ?? NaN)) least = index;
    if (value > (points[greatest]?.[1] ?? NaN)) greatest = index;
  });
  const at = (index: number): Point => points[index] ?? earlier[0];
  return [at(Math.min(least, greatest)), at(Math.max(least, greatest))];
}
