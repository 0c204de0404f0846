// The models of a training as the fold knows them: each one's newest loss and whether it is done. Pure; called by state.ts.
import type { Rows, TrainingEvent } from './records';
import type { Model } from './state';

const MAX_MODELS = 1000;

/** Return the models after an event. */
export function foldModels(models: readonly Model[], event: TrainingEvent): readonly Model[] {
  const number = event.metrics.get('currentModel');
  const completed = event.eventType === 'model_completed';
  if (number === undefined || (!completed && event.eventType !== 'step_update')) return models;
  return withModel(models, number, event.metrics.get('loss') ?? null, completed);
}

/** Return the models after rows: each one's newest loss, however rows were cut into blocks. */
export function foldModelLosses(models: readonly Model[], rows: Rows): readonly Model[] {
  const numbers = rows.columns.get('currentModel');
  const losses = rows.columns.get('loss');
  if (numbers === undefined || losses === undefined) return models;
  const newest = new Map<number, number>();
  numbers.forEach((number, index) => {
    const loss = losses[index] ?? null;
    if (number !== null && loss !== null) newest.set(number, loss);
  });
  let folded = models;
  for (const [number, loss] of newest) folded = withModel(folded, number, loss, false);
  return folded;
}

function withModel(
  models: readonly Model[],
  position: number,
  loss: number | null,
  completed: boolean,
): readonly Model[] {
  if (!(position >= 1 && position <= MAX_MODELS)) return models;
  const number = Math.trunc(position);
  const before = models.find((model) => model.number === number) ?? { number, loss: null, completed: false };
  const after: Model = { number, loss: loss ?? before.loss, completed: completed || before.completed };
  const others = models.filter((model) => model.number !== number);
  return [...others, after].sort((one, other) => one.number - other.number);
}
