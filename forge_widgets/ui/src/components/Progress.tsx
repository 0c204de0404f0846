// The progress bar and its words, and the line of phases and models. Called by the dashboard.
import type { JSX } from 'react';

import {
  formatDuration,
  formatNumber,
  formatPercent,
  metricValue,
  progressShare,
  timeLeft,
  type Model,
  type Phase,
  type State,
} from '../stream';
import { modelColour } from './palette';
import type { MarkKind } from './StatusMark';
import { leftWords, paceWords } from './words';

const MOST_MODELS = 12;
const MOST_JOINTS = 24;
const BAR_STEPS = 500;

export interface ProgressProps {
  readonly state: State;
  readonly kind: MarkKind;
}

/** Show how far a training is, how long it still takes and how fast it goes. */
export function Progress({ state, kind }: ProgressProps): JSX.Element {
  const known = state.status === 'completed' || state.metrics.has('totalSteps');
  const share = known ? progressShare(state) : NaN;
  const percent = Number.isFinite(share) ? formatPercent(share) : '–';
  const moving = kind === 'running' || kind === 'slow';
  const left = moving ? timeLeft(state) : null;
  const words = left === null ? restWords(state, moving) : leftWords(left);
  const pace = left === null ? '' : paceWords(left.stepsPerSecond);
  return (
    <div className="forge-progress">
      <div
        className={`forge-bar forge-bar-${kind}`}
        role="progressbar"
        aria-label="Training progress"
        aria-valuemin={0}
        aria-valuemax={100}
        {...(Number.isFinite(share) ? { 'aria-valuenow': Math.round(share * 100) } : {})}
        aria-valuetext={[Number.isFinite(share) ? percent : 'unknown', words, pace].filter(Boolean).join(', ')}
      >
        <div className="forge-bar-fill" style={{ transform: `scaleX(${filled(share)})` }} />
        {joints(metricValue(state, 'totalModels')).map((place) => (
          <span key={place} className="forge-bar-joint" style={{ left: `${place}%` }} />
        ))}
      </div>
      <div className="forge-progress-words">
        <span className="forge-percent">{percent}</span>
        <span className="forge-eta">{words}</span>
        <span className="forge-pace forge-muted">{pace}</span>
      </div>
    </div>
  );
}

/** Return how much of the bar is full, in steps of a pixel or so: what can't be seen need not be painted. */
function filled(share: number): number {
  return Number.isFinite(share) ? Math.round(share * BAR_STEPS) / BAR_STEPS : 0;
}

function restWords(state: State, moving: boolean): string {
  if (moving && state.metrics.has('totalSteps')) return 'estimating…';
  const took = state.updatedAt - state.startedAt;
  return state.status === 'completed' && took >= 0.1 ? `took ${formatDuration(took)}` : '';
}

/** Return where one model ends and the next begins, in per cent. */
function joints(models: number): readonly number[] {
  if (!(models > 1 && models <= MOST_JOINTS)) return [];
  return Array.from({ length: Math.floor(models) - 1 }, (_, index) => (100 * (index + 1)) / models);
}

/** Show what is done and what is to come: phases and models with their loss. Nothing where the status says it all. */
export function Models({ state }: { readonly state: State }): JSX.Element | null {
  const known = modelsOf(state);
  const models = known.length > 1 ? known : [];
  if (state.phases.every(isLast) && models.length === 0) return null;
  const current = state.status === 'completed' ? NaN : Math.floor(metricValue(state, 'currentModel'));
  const shown = models.length > MOST_MODELS ? around(models, metricValue(state, 'currentModel')) : models;
  return (
    <ol className="forge-models" aria-label="Phases and models">
      {state.phases.filter((phase) => !isLast(phase)).map(phaseItem)}
      {shown.map((model) => (
        <ModelItem key={model.number} model={model} current={!model.completed && model.number === current} />
      ))}
      {shown.length < models.length && <li className="forge-muted">{models.length} models in all</li>}
      {state.phases.filter(isLast).map(phaseItem)}
    </ol>
  );
}

function phaseItem({ name, completedAt }: Phase): JSX.Element {
  return (
    <li key={`${name} ${completedAt}`} title={`Completed ${new Date(completedAt * 1000).toLocaleString()}`}>
      {name.replaceAll('_', ' ')} <Done />
    </li>
  );
}

/** Say whether a phase ends the training: it is shown behind the models. */
function isLast({ name }: Phase): boolean {
  return name.includes('complete');
}

function ModelItem({ model, current }: { readonly model: Model; readonly current: boolean }): JSX.Element {
  const begun = model.completed || model.loss !== null;
  return (
    <li className={current ? 'forge-model-current' : begun ? '' : 'forge-muted'} aria-current={current ? 'step' : undefined}>
      <span className="forge-swatch" style={modelColour(model.number)} aria-hidden="true" />
      model {model.number}
      {model.completed ? <Done /> : <span aria-hidden="true">{current ? '▸' : '·'}</span>}
      {model.loss !== null && (
        <span title={`Loss ${model.loss}`}>
          <span className="forge-hidden">loss </span>
          {formatNumber(model.loss)}
        </span>
      )}
    </li>
  );
}

function Done(): JSX.Element {
  return (
    <span>
      <span aria-hidden="true">✓</span>
      <span className="forge-hidden">completed</span>
    </span>
  );
}

/** Return the models that are known, and those that are to come. */
function modelsOf(state: State): readonly Model[] {
  const total = state.metrics.has('totalModels') ? Math.min(1000, metricValue(state, 'totalModels')) : 0;
  const known = new Map(state.models.map((model) => [model.number, model]));
  for (let number = 1; number <= total; number += 1) {
    if (!known.has(number)) known.set(number, { number, loss: null, completed: false });
  }
  return [...known.values()].sort((a, b) => a.number - b.number);
}

function around(models: readonly Model[], current: number): readonly Model[] {
  const first = Math.max(0, Math.min(models.length - MOST_MODELS, current - MOST_MODELS / 2));
  return models.slice(first, first + MOST_MODELS);
}
