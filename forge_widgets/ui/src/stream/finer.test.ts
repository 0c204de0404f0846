// What the route answers and what comes live, put together: no gap, no repeat (tests/vectors/finer.json holds the two languages
// together), and finer curves put into those that are there.
import { describe, expect, it } from 'vitest';

import { ALL_STEPS, Finer, parseAnswer, pointCount, spliced } from './finer';
import type { Answer } from './finer';
import type { DeltaFrame } from './messages';
import { lastOffset } from './records';
import type { LogRecord, Rows } from './records';
import type { LinePoints } from './series';
import { keyMessage, parsedDelta, parsedKey, parsedRecords, rowsMessage, vectors } from './testing';

function answerOf(body: unknown): Answer {
  const answer = parseAnswer(JSON.stringify(body));
  if (answer === null) throw new Error('this is no answer');
  return answer;
}

/** A delta frame of records. */
function frameOf(records: readonly LogRecord[]): DeltaFrame {
  const [first, last] = [records[0], records.at(-1)];
  if (first === undefined || last === undefined) throw new Error('a frame holds something');
  return { type: 'frame', key: false, epoch: 'e', from: first.offset, to: lastOffset(last), records };
}

function line(steps: readonly number[], values: readonly number[] = steps, model = 1): LinePoints {
  return { metric: 'loss', model, steps, values };
}

function numbers(from: number, to: number, every = 1): number[] {
  return Array.from({ length: Math.floor((to - from) / every) + 1 }, (_, index) => from + index * every);
}

/** The answer for rows of `rowsMessage` up to an offset. */
function answered(top: number, from = 1, range = ALL_STEPS): Finer {
  const steps = numbers(from, top);
  const series = [{ metric: 'loss', model: 1, steps, values: steps.map((step) => 1 / step), rows: steps.length }];
  return new Finer('loss', range, answerOf({ epoch: 'e', top, attempt: 1, series }));
}

function stepsOf(finer: Finer): readonly number[] {
  return finer.lines().flatMap(({ steps }) => steps);
}

describe('an answer goes on', () => {
  it.each(vectors('finer'))('$name', ({ answer, records: read, lines }) => {
    const records = parsedRecords(read);
    const expected = (lines as LinePoints[]).map(({ metric, model, steps, values }) => ({ metric, model, steps, values }));
    const atOnce = new Finer('loss', ALL_STEPS, answerOf(answer));
    expect(atOnce.take(frameOf(records))).toBe(true);
    expect(atOnce.lines()).toMatchObject(expected);
    const oneByOne = new Finer('loss', ALL_STEPS, answerOf(answer));
    for (const record of records) expect(oneByOne.take(frameOf([record]))).toBe(true);
    // What is heard again is passed over.
    expect(oneByOne.take(frameOf(records))).toBe(true);
    expect(oneByOne.lines()).toMatchObject(expected);
    expect(oneByOne.rows).toBe(expected.reduce((sum, { steps }) => sum + steps.length, 0));
  });

  it('with rows that came in the curves of a key frame alone', () => {
    const finer = answered(10);
    const curves = [line([1, 5, 9, 13, 17]), line([1, 2], [3, 4], 2), { ...line([1]), metric: 'f1' }];
    finer.take(parsedKey(keyMessage('e', 18, { attempt: 1 }, { series: curves })));
    finer.take(parsedDelta(rowsMessage('e', 17, 20)));
    expect(finer.lines()).toMatchObject([line([...numbers(1, 10), 13, 17, 19, 20], expect.anything() as number[]), line([1, 2], [3, 4], 2)]);
  });

  it('with rows that are outlined, of which it may have some already', () => {
    const finer = answered(10);
    const points = [[9, 0.5], [14, 0.01]] as const;
    const outline = { count: 10, startedAt: 0, lines: [{ metric: 'loss', points }] };
    const body: Rows = { timestamps: [1], columns: new Map([['currentStep', [16]], ['loss', [0.02]]]), thinned: 0, outline };
    const record = { offset: 7, attempt: 1, producer: 'p', sequence: 7, body };
    expect(finer.take(frameOf([record]))).toBe(true);
    expect(stepsOf(finer)).toEqual([...numbers(1, 10), 14, 16]);
    const next = { ...body, columns: new Map([['currentStep', [26]], ['loss', [0.02]]]) };
    finer.take(frameOf([{ ...record, offset: 17, sequence: 17, body: next }]));
    expect(stepsOf(finer).slice(-3)).toEqual([9, 14, 26]);
  });

  it('but not with another log, nor another attempt', () => {
    expect(answered(5).take(parsedDelta(rowsMessage('other', 6, 7)))).toBe(false);
    expect(answered(5).take(parsedDelta(rowsMessage('e', 6, 7, 2)))).toBe(false);
    expect(answered(5).take(parsedKey(keyMessage('e', 7, { attempt: 2 })))).toBe(false);
    const finer = answered(5);
    expect(finer.take(parsedDelta(rowsMessage('e', 6, 7, 0)))).toBe(true);
    expect(stepsOf(finer)).toEqual(numbers(1, 5));
  });

  it('within its range alone', () => {
    const finer = answered(5, 2, { from: 2, to: 5 });
    finer.take(parsedDelta(rowsMessage('e', 6, 7)));
    expect(stepsOf(finer)).toEqual([2, 3, 4, 5]);
    expect(finer.rows).toBe(4);
  });

  it('until more came than it stands for', () => {
    const finer = answered(500);
    expect([finer.complete, finer.outgrown]).toEqual([true, false]);
    finer.take(parsedDelta(rowsMessage('e', 501, 900)));
    expect([finer.complete, finer.outgrown]).toEqual([true, false]);
    finer.take(parsedDelta(rowsMessage('e', 901, 1_001)));
    expect([finer.complete, finer.outgrown]).toEqual([false, true]);
  });

  it('and is the same until it does', () => {
    const finer = answered(5);
    expect(finer.lines()).toBe(finer.lines());
  });
});

describe('an answer', () => {
  const CURVE = { metric: 'loss', model: 1, steps: [1], values: [2], rows: 1 };
  it.each([
    ['', 'no JSON'],
    ['[]', 'a list'],
    [JSON.stringify({ epoch: 'e', top: 1, attempt: 1 }), 'without curves'],
    [JSON.stringify({ epoch: 'e', top: 1, attempt: 1, series: [{ ...CURVE, steps: [1, 2] }] }), 'of two lengths'],
    [JSON.stringify({ epoch: 'e', top: 1, attempt: 1, series: [{ ...CURVE, values: [null] }] }), 'of what is no number'],
  ])('%s is none: %s', (body) => {
    expect(parseAnswer(body)).toBeNull();
  });
});

describe('finer curves', () => {
  it('are put in where they belong, and leave the others as they are', () => {
    const put = spliced([line(numbers(0, 100, 10))], [line(numbers(28, 52, 2))], { from: 28, to: 52 });
    expect(put.flatMap(({ steps }) => steps)).toEqual([0, 10, 20, ...numbers(28, 52, 2), 60, 70, 80, 90, 100]);
  });

  it('hide no extreme that was there, and repeat no point', () => {
    const put = spliced([line([0, 2, 3, 8], [1, 9, -9, 1.000001])], [line([0, 4, 8], [1, 1.5, 1])], ALL_STEPS);
    expect(put).toEqual([line([0, 2, 3, 4, 8], [1, 9, -9, 1.5, 1])]);
    const twice = spliced([line([1, 1], [5, 6])], [line([1, 1], [5, 5.5])], ALL_STEPS);
    expect(twice).toEqual([line([1, 1, 1], [6, 5, 5.5])]);
  });

  it('are put in wherever a curve that goes back passes', () => {
    const base = line([0, 20, 40, 60, 30, 50, 70]);
    const put = spliced([base], [line([36, 38, 40, 42, 36, 38, 40])], { from: 35, to: 45 });
    expect(put.flatMap(({ steps }) => steps)).toEqual([0, 20, 36, 38, 40, 42, 60, 30, 36, 38, 40, 50, 70]);
  });

  it('are put in as they are where what is there does not show each passing', () => {
    const put = spliced([line([0, 20, 40, 60])], [line([36, 40, 38, 42])], { from: 35, to: 45 });
    expect(put.flatMap(({ steps }) => steps)).toEqual([0, 20, 36, 40, 38, 42, 60]);
  });

  it('come last where nothing is there yet, and with the models that are missing', () => {
    const put = spliced([line([0, 1])], [line([8, 9]), line([1], [1], 3), line([1], [1], 2)], { from: 5, to: 9 });
    expect(put.map(({ model, steps }) => [model, steps])).toEqual([[1, [0, 1, 8, 9]], [2, [1]], [3, [1]]]);
  });

  it('leave a newest value that is no number where it is', () => {
    const put = spliced([line([0, 5, 9], [1, 2, NaN])], [line([0, 1, 5], [1, 1.5, 2])], ALL_STEPS);
    expect(put).toEqual([line([0, 1, 5, 9], [1, 1.5, 2, NaN])]);
  });

  it('are counted in a range', () => {
    expect(pointCount([line(numbers(1, 9)), line([2, 20])])).toBe(11);
    expect(pointCount([line(numbers(1, 9)), line([2, 20])], { from: 2, to: 3 })).toBe(3);
  });
});
