// A curve may go back: a training that goes on from a checkpoint takes steps that it took before. Pure. Called by whatever
// draws, smooths or joins curves.

/** Steps and the values there, in the order of their coming. */
export interface Stretch {
  readonly steps: readonly number[];
  readonly values: readonly number[];
}

/**
 * Cut a curve where its step goes back: a training that went on from a checkpoint has no line from where it failed to where
 * it began anew, and no average over both.
 */
export function stretches<T extends Stretch>(curve: T): readonly T[] {
  const { steps, values } = curve;
  const cut: T[] = [];
  let from = 0;
  for (let index = 1; index <= steps.length; index += 1) {
    if (index < steps.length && !((steps[index] ?? 0) < (steps[index - 1] ?? 0))) continue;
    cut.push({ ...curve, steps: steps.slice(from, index), values: values.slice(from, index) });
    from = index;
  }
  return cut;
}
