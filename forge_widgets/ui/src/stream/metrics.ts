// The metrics of a step as core/metrics.py names them: the contract's defaults, and which names are curves.
// Pure. Called by the fold, the series and the components.

/** The nine metrics that every training has, as they are before the first update. */
export const METRIC_DEFAULTS: ReadonlyMap<string, number> = new Map([
  ['loss', 0],
  ['perplexity', 0],
  ['grokProgress', 0],
  ['currentStep', 0],
  ['totalSteps', 1000],
  ['currentModel', 1],
  ['totalModels', 3],
  ['learningRate', 0.001],
  ['accuracy', 0],
]);

/** Metrics that say where a row stands: axes of a chart, never its curves. */
export const COORDINATES: ReadonlySet<string> = new Set(['currentStep', 'totalSteps', 'currentModel', 'totalModels']);

/** Return the names that are curves of a chart, sorted, `loss` first. */
export function curveNames(names: Iterable<string>): string[] {
  return [...new Set(names)].filter((name) => !COORDINATES.has(name)).sort(byCurve);
}

function byCurve(one: string, other: string): number {
  if (one === other) return 0;
  if (one === 'loss') return -1;
  if (other === 'loss') return 1;
  return one < other ? -1 : 1;
}
