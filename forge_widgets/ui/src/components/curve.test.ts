import { describe, expect, it } from 'vitest';

import { axisOf } from './axis';
import { nearest, pathOf, smoothed } from './curve';
import { stretches } from '../stream';

const UNIT = { low: 0, high: 1, log: false };

describe('smoothed', () => {
  it('leaves a constant as it is, from its first value on', () => {
    for (const value of smoothed([3, 3, 3, 3], 0.6)) expect(value).toBeCloseTo(3, 12);
  });

  it('lies on a straight line where the values do, neither above nor below', () => {
    const line = Array.from({ length: 60 }, (_, index) => 100 - index);
    expect(smoothed(line, 0.6)[30]).toBeCloseTo(70, 4);
  });

  it('takes most of the noise away', () => {
    const noise = Array.from({ length: 60 }, (_, index) => (index % 2 === 0 ? 1 : -1));
    expect(Math.max(...smoothed(noise, 0.6).slice(5, -5).map(Math.abs))).toBeLessThan(0.3);
  });

  it('passes over what is no number, and keeps its place', () => {
    expect(smoothed([1, NaN, 1], 0.6)).toEqual([1, NaN, 1]);
  });
});

describe('stretches', () => {
  it('cuts where a training went on from a checkpoint before', () => {
    const curve = { model: 1, steps: [1, 2, 3, 2, 3], values: [5, 4, 9, 4, 3] };
    expect(stretches(curve).map(({ steps, values }) => [steps, values])).toEqual([
      [
        [1, 2, 3],
        [5, 4, 9],
      ],
      [
        [2, 3],
        [4, 3],
      ],
    ]);
  });

  it('leaves one that goes on, or stays, in one piece', () => {
    expect(stretches({ model: 1, steps: [1, 1, 2], values: [3, 2, 1] })).toHaveLength(1);
    expect(stretches({ model: 1, steps: [], values: [] })).toEqual([]);
  });
});

describe('pathOf', () => {
  it('draws from left to right, with great values on top', () => {
    expect(pathOf([0, 1], [0, 1], UNIT, UNIT)).toBe('M0 1000L1000 0');
  });

  it('breaks where a value has no place, and marks one that stands alone', () => {
    expect(pathOf([0, 0.5, 1], [0, NaN, 1], UNIT, UNIT)).toBe('M0 1000h0M1000 0h0');
    expect(pathOf([0.5], [0.5], UNIT, UNIT)).toBe('M500 500h0');
    expect(pathOf([0, 1], [0, 1], UNIT, axisOf([1], true))).not.toContain('NaN');
  });

  it('is empty where there is nothing', () => {
    expect(pathOf([], [], UNIT, UNIT)).toBe('');
  });
});

describe('nearest', () => {
  it('finds the step next to another', () => {
    expect(nearest([0, 10, 20], 14)).toBe(1);
    expect(nearest([0, 10, 20], 99)).toBe(2);
    expect(nearest([], 1)).toBe(-1);
  });
});
