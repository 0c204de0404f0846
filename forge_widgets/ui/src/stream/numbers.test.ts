import { describe, expect, it } from 'vitest';

import { formatCompact, formatCount, formatDuration, formatNumber, formatPercent } from './numbers';

describe('formatNumber', () => {
  it.each([
    [0, '0'],
    [0.184, '0.184'],
    [0.18444444, '0.1844'],
    [1.2, '1.2'],
    [450, '450'],
    [12345, '12,350'],
    [-0.25, '−0.25'],
    [-1234.5, '−1,235'],
    [0.0001, '0.0001'],
    [0.0000999, '9.99e−5'],
    [-2.5e-7, '−2.5e−7'],
    [999_949, '999,900'],
    [999_999, '1e6'],
    [1_234_567, '1.235e6'],
    [NaN, 'NaN'],
    [Infinity, '∞'],
    [-Infinity, '−∞'],
  ])('writes %d as %s', (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });
});

describe('formatDuration', () => {
  it.each([
    [0.8, '0.8 s'],
    [0, '0.0 s'],
    [9.96, '10 s'],
    [41.2, '41 s'],
    [59.6, '1 min'],
    [720, '12 min'],
    [3599, '1 h'],
    [4320, '1 h 12 min'],
    [273_600, '3 d 4 h'],
    [NaN, '–'],
    [-1, '–'],
  ])('writes %d seconds as %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

describe('formatPercent', () => {
  it('never says that all is done before it is', () => {
    expect(formatPercent(0.9999)).toBe('99 %');
    expect(formatPercent(1)).toBe('100 %');
    expect(formatPercent(0.481)).toBe('48 %');
    expect(formatPercent(NaN)).toBe('–');
  });
});

describe('formatCount', () => {
  it('separates thousands', () => {
    expect(formatCount(1000)).toBe('1,000');
    expect(formatCount(-1234567)).toBe('−1,234,567');
  });
});

describe('formatCompact', () => {
  it.each([
    [450, '450'],
    [9_999, '9,999'],
    [12_400, '12.4 k'],
    [12_000, '12 k'],
    [999_600, '1 M'],
    [3_050_000, '3.05 M'],
    [-25_000, '−25 k'],
    [NaN, '–'],
  ])('writes %d as %s', (count, text) => {
    expect(formatCompact(count)).toBe(text);
  });
});
