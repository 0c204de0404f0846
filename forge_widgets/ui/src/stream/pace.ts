// How fast a training goes: samples of its position, one a second, which the estimate and the liveness are made from.
// Pure, the same as in core/state.py; called by state.ts.
import { METRIC_DEFAULTS } from './metrics';
import type { Column, Rows } from './records';
import type { Metrics, Pace } from './state';

const SPACING_S = 1;
const SAMPLES = 30;

/** Return the samples with one more, where the newest is at least a second old. */
export function withPace(pace: readonly Pace[], timestamp: number, steps: number): readonly Pace[] {
  const newest = pace.at(-1);
  if (newest !== undefined && timestamp < newest[0] + SPACING_S) return pace;
  return [...pace.slice(-(SAMPLES - 1)), [timestamp, steps]];
}

/** Return the steps of all models so far. */
export function overallSteps(metrics: Metrics): number {
  return (valueOf(metrics, 'currentModel') - 1) * valueOf(metrics, 'totalSteps') + valueOf(metrics, 'currentStep');
}

/** Sample the rows once a second, however they were cut into blocks; `metrics` are those after the rows. */
export function paceAfterRows(pace: readonly Pace[], rows: Rows, metrics: Metrics): readonly Pace[] {
  const steps = whole(rows.columns.get('currentStep'));
  if (steps === null) return pace;
  const totals = whole(rows.columns.get('totalSteps'));
  const models = whole(rows.columns.get('currentModel'));
  let sampled = pace;
  rows.timestamps.forEach((timestamp, index) => {
    const newest = sampled.at(-1);
    if (newest !== undefined && timestamp < newest[0] + SPACING_S) return;
    const total = totals?.[index] ?? valueOf(metrics, 'totalSteps');
    const model = models?.[index] ?? valueOf(metrics, 'currentModel');
    sampled = withPace(sampled, timestamp, (model - 1) * total + (steps[index] ?? 0));
  });
  return sampled;
}

/** Return a column that every row has; null for any other. */
function whole(column: Column | undefined): Column | null {
  return column === undefined || column.includes(null) ? null : column;
}

function valueOf(metrics: Metrics, name: string): number {
  return metrics.get(name)?.[0] ?? METRIC_DEFAULTS.get(name) ?? NaN;
}
