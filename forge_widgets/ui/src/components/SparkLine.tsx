// A line the height of a word: the shape of a metric, without axes. Says nothing to a screen reader; its value stands beside.
import { useMemo, type CSSProperties, type JSX } from 'react';

import { axisOf } from './axis';
import { BOX, pathOf } from './curve';

const MOST_POINTS = 80;

export interface SparkLineProps {
  readonly steps?: readonly number[];
  readonly values: readonly number[];
  /** What gives it its colour. */
  readonly style?: CSSProperties;
}

/** Draw values over their steps, or over their order where there are no steps. */
export function SparkLine({ steps, values, style }: SparkLineProps): JSX.Element {
  const path = useMemo(() => sparkPath(steps ?? values.map((_, index) => index), values), [steps, values]);
  return (
    <svg
      className="forge-spark"
      style={style}
      viewBox={`0 0 ${BOX} ${BOX}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path d={path} />
    </svg>
  );
}

function sparkPath(steps: readonly number[], values: readonly number[]): string {
  const every = Math.max(1, Math.ceil(values.length / MOST_POINTS));
  // The newest is always kept, so that the line ends where training is.
  const keep = (_: number, index: number): boolean => (values.length - 1 - index) % every === 0;
  const [keptSteps, keptValues] = [steps.filter(keep), values.filter(keep)];
  return pathOf(keptSteps, keptValues, axisOf(keptSteps, false), axisOf(keptValues, false));
}
