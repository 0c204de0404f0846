// The tiles of a dashboard: each metric's newest value, its spark line and its best. Called by the dashboard.
import type { JSX } from 'react';

import { metricValue, type SessionView } from '../stream';
import { betterWay, metricLabel, metricText, tileNames } from './metricwords';
import { modelColour } from './palette';
import { SparkLine } from './SparkLine';

const MOST_TILES = 24;

/** Show a tile for each metric: the contract's four, the user's own, the learning rate. */
export function Tiles({ view }: { readonly view: SessionView }): JSX.Element {
  const model = metricValue(view.state, 'currentModel');
  const names = tileNames(view.state.metrics.keys());
  return (
    <ul className="forge-tiles" aria-label="Metrics">
      {names.slice(0, MOST_TILES).map((name) => (
        <Tile key={name} name={name} view={view} model={model} />
      ))}
      {names.length > MOST_TILES && <li className="forge-muted">and {names.length - MOST_TILES} more in the chart</li>}
    </ul>
  );
}

interface TileProps {
  readonly name: string;
  readonly view: SessionView;
  readonly model: number;
}

function Tile({ name, view, model }: TileProps): JSX.Element {
  const value = view.state.metrics.get(name)?.[0];
  const curve = view.series.points(name).find((line) => line.model === model);
  const bad = value !== undefined && !Number.isFinite(value);
  return (
    <li className="forge-tile">
      <span className="forge-tile-name" title={name}>
        {metricLabel(name)}
      </span>
      <span className={bad ? 'forge-tile-value forge-tile-bad' : 'forge-tile-value'} title={exact(value)}>
        {metricText(name, value)}
      </span>
      {curve !== undefined && curve.values.length > 1 ? (
        <SparkLine steps={curve.steps} values={curve.values} style={modelColour(model)} />
      ) : (
        <span />
      )}
      <span className="forge-tile-best">{bestText(name, curve?.values ?? [])}</span>
    </li>
  );
}

function exact(value: number | undefined): string {
  return value === undefined ? 'not recorded' : String(value);
}

/** Say the best value so far; where nobody knows which way is better, what it ranges over. A space where there is none. */
function bestText(name: string, values: readonly number[]): string {
  const finite = values.filter(Number.isFinite);
  // Not best of anything: grok progress only climbs, a learning rate is set.
  if (finite.length === 0 || name === 'grokProgress' || name === 'learningRate') return '\u00a0';
  const low = finite.reduce((least, value) => Math.min(least, value));
  const high = finite.reduce((greatest, value) => Math.max(greatest, value));
  const better = betterWay(name);
  if (better === null) return `${metricText(name, low)} … ${metricText(name, high)}`;
  return `best ${metricText(name, better === 'lower' ? low : high)}`;
}
