import { describe, expect, it } from 'vitest';

import { followed, sought, stepsOf, zoomedTo, zoomOf } from './zoom';

const ALL = { from: 0, to: 1_000 };

describe('zooming', () => {
  it('stays inside all steps, as wide as it was', () => {
    expect(zoomedTo(200, 300, ALL)).toEqual({ from: 200, to: 300 });
    expect(zoomedTo(-50, 50, ALL)).toEqual({ from: 0, to: 100 });
    expect(zoomedTo(950, 1_050, ALL)).toEqual({ from: 900, to: 1_000 });
  });

  it('goes no closer than ten steps, and no further than all', () => {
    expect(zoomedTo(500, 501, ALL)).toEqual({ from: 496, to: 506 });
    for (const [from, to] of [[0, 1_000], [-1, 2_000], [-Infinity, Infinity]] as const) expect(zoomedTo(from, to, ALL)).toBeNull();
    expect(zoomedTo(2, 3, { from: 0, to: 8 })).toBeNull();
  });
});

describe('following', () => {
  it('moves along with the newest step where that was among those chosen', () => {
    const zoom = zoomOf({ from: 400, to: 500 }, 450);
    expect(followed(zoom, 480)).toBe(zoom);
    expect(followed(zoom, 520)).toEqual({ from: 420, to: 520, follows: true });
    expect(zoom && sought(zoom)).toEqual({ from: 400, to: Infinity });
  });

  it('stays where it is in the past, and where the next model begins', () => {
    const zoom = zoomOf({ from: 100, to: 200 }, 450);
    expect(followed(zoom, 460)).toBe(zoom);
    expect(zoom && sought(zoom)).toBe(zoom);
    const near = followed(zoomOf({ from: 400, to: 500 }, 450), 520);
    expect(followed(near, 0)).toBe(near);
    expect(followed(zoomOf(null, 450), 460)).toBeNull();
  });
});

describe('all steps', () => {
  it('are those of the curves and those to come, from zero where they begin near it', () => {
    expect(stepsOf([{ steps: [1, 40] }, { steps: [1, 60] }], 0)).toEqual({ from: 0, to: 60 });
    expect(stepsOf([{ steps: [500, 900] }], 0)).toEqual({ from: 500, to: 900 });
    expect(stepsOf([{ steps: [500, 900] }], 1_000)).toEqual({ from: 0, to: 1_000 });
    expect(stepsOf([], 0)).toEqual({ from: 0, to: 1 });
  });
});
