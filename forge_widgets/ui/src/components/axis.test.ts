import { describe, expect, it } from 'vitest';

import { axisOf, shareOf, ticksOf, valueAt } from './axis';

describe('axisOf', () => {
  it('holds every finite value and no other', () => {
    const axis = axisOf([3, NaN, 4, Infinity, 3.5], false);
    expect(axis.low).toBeLessThan(3);
    expect(axis.low).toBeGreaterThan(2);
    expect(axis.high).toBeGreaterThan(4);
    expect(axis.high).toBeLessThan(5);
  });

  it('begins at zero where values come near it, so that a falling loss does not move it', () => {
    expect(axisOf([2.3, 1.2], false).low).toBe(0);
    expect(axisOf([2.3, 0.01], false).low).toBe(0);
    expect(axisOf([2.3, 2.25], false).low).toBeGreaterThan(2);
    expect(axisOf([-1, 1], false).low).toBeLessThan(-1);
  });

  it('has a length where all values are the same, and where there is none', () => {
    for (const values of [[5], [0], [-2], []]) {
      for (const log of [false, true]) {
        const { low, high } = axisOf(values, log);
        expect(high).toBeGreaterThan(low);
      }
    }
  });

  it('leaves out what a logarithm does not know', () => {
    const axis = axisOf([0, -1, 0.01, 10], true);
    expect(axis.low).toBeGreaterThan(0.005);
    expect(shareOf(axis, 0)).toBeNaN();
  });
});

describe('shareOf and valueAt', () => {
  it.each([true, false])('undo each other (log: %s)', (log) => {
    const axis = axisOf([0.5, 200], log);
    for (const value of [0.7, 1, 42, 199]) expect(valueAt(axis, shareOf(axis, value))).toBeCloseTo(value, 9);
  });
});

describe('ticksOf', () => {
  it('stands on round values inside the axis', () => {
    expect(ticksOf({ low: 0, high: 1000, log: false }, 5).map(({ value }) => value)).toEqual([0, 200, 400, 600, 800, 1000]);
    expect(ticksOf({ low: 0, high: 0.31, log: false }, 5).map(({ label }) => label)).toEqual(['0', '0.05', '0.1', '0.15', '0.2', '0.25', '0.3']);
  });

  it('counts in powers of ten on a logarithmic axis, and evenly where it is too short for them', () => {
    expect(ticksOf({ low: 0.0009, high: 12, log: true }, 5).map(({ label }) => label)).toEqual(['0.001', '0.01', '0.1', '1', '10']);
    expect(ticksOf({ low: 2.1, high: 2.9, log: true }, 5).length).toBeGreaterThanOrEqual(2);
  });

  it('never names more than a few, whatever the range', () => {
    for (const high of [1e-9, 1, 3, 7, 1e12]) {
      expect(ticksOf({ low: 0, high, log: false }, 5).length).toBeLessThan(10);
      expect(ticksOf({ low: high / 1e15, high, log: true }, 5).length).toBeLessThan(10);
    }
  });
});
