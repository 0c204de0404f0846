// What a metric is called on screen, how its value is written, and which way is better. Pure. Called by tiles and chart.
import { COORDINATES } from '../stream/metrics';
import { formatNumber } from '../stream/numbers';

const LABELS: Readonly<Record<string, string>> = {
  grokProgress: 'grok progress',
  learningRate: 'learning rate',
};

/** The tiles that every dashboard has, in their order. */
const ALWAYS: readonly string[] = ['loss', 'perplexity', 'accuracy', 'grokProgress'];

const LOWER = /loss|perplexity|ppl|error|(^|_)(err|mse|mae|rmse|nll|bpb|bpc|kl)($|_)|divergence|latency/i;
const HIGHER = /acc|(^|_)(f1|auc|map|iou|bleu|rouge|psnr|ssim|r2)($|_)|precision|recall|score|reward|return|grok|win/i;

/** Return a metric's name as it is shown: the contract's in words, a user's own as it was given. */
export function metricLabel(name: string): string {
  return LABELS[name] ?? name;
}

/** Write the value of a metric: grok progress in per cent, any other with four significant digits. */
export function metricText(name: string, value: number | undefined): string {
  if (value === undefined) return '–';
  return name === 'grokProgress' && Number.isFinite(value) ? `${Math.round(value)} %` : formatNumber(value);
}

/** Say which way a metric is better; null where its name does not tell. */
export function betterWay(name: string): 'lower' | 'higher' | null {
  if (LOWER.test(name)) return 'lower';
  return HIGHER.test(name) ? 'higher' : null;
}

/** Return the names of the tiles: the four that are always there, the user's own, and the learning rate. */
export function tileNames(recorded: Iterable<string>): readonly string[] {
  return [...new Set([...ALWAYS, ...curveNames(recorded)])].sort((a, b) => place(a) - place(b));
}

/** Return the names of the curves that can be shown, in the order of the tiles. */
export function curveNames(recorded: Iterable<string>): readonly string[] {
  return [...recorded]
    .filter((name) => !COORDINATES.has(name))
    .sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
}

function place(name: string): number {
  const fixed = ALWAYS.indexOf(name);
  if (fixed >= 0) return fixed;
  return name === 'learningRate' ? ALWAYS.length + 1 : ALWAYS.length;
}
