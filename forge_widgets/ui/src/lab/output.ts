// What an output says of its session: our MIME type's data and metadata, read once at the edge.
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { ReadonlyPartialJSONValue } from '@lumino/coreutils';

import type { Shown } from '../components/figure';

/** The MIME type of a session's output. */
export const SESSION_MIME = 'application/vnd.forge-widgets.session.v1+json';
/** The other faces that the same output may carry, best first. */
export const WIDGET_MIME = 'application/vnd.jupyter.widget-view+json';
export const STORED_MIMES = ['text/html', 'text/plain'] as const;

/** A session that an output shows. */
export interface SessionOutput {
  readonly sessionId: string;
  /** The store that it is in; "" where the output does not say. */
  readonly storeId: string;
  /** What a chart shows of it; null for the dashboard. */
  readonly chart: Shown | null;
  /** Whether its notebook is to come to it when its training begins. */
  readonly followed: boolean;
}

/** Return the session that an output names, and the view of it; null where it names none. A view that we don't know is the dashboard. */
export function sessionOutput(model: IRenderMime.IMimeModel): SessionOutput | null {
  const data = model.data[SESSION_MIME];
  const sessionId = text(data, 'sessionId');
  if (sessionId === '') return null;
  const metric = text(data, 'metric') || 'loss';
  const chart = field(data, 'view') === 'chart' ? { metric, logY: field(data, 'logY') === true } : null;
  const about = model.metadata[SESSION_MIME];
  return { sessionId, storeId: text(about, 'storeId'), chart, followed: field(about, 'follow') === true };
}

/** Say whether two outputs show the same. */
export function sameOutput(one: SessionOutput | null, other: SessionOutput | null): boolean {
  if (one === null || other === null) return one === other;
  return (
    one.sessionId === other.sessionId &&
    one.storeId === other.storeId &&
    one.chart?.metric === other.chart?.metric &&
    one.chart?.logY === other.chart?.logY
  );
}

/** Return the id of the kernel's widget that made an output; "" where none did. */
export function widgetId(model: IRenderMime.IMimeModel): string {
  return text(model.data[WIDGET_MIME], 'model_id');
}

/** Return the MIME type of the face stored with an output that a person can read without us; null where there is none. */
export function storedMime(model: IRenderMime.IMimeModel): (typeof STORED_MIMES)[number] | null {
  return STORED_MIMES.find((mimeType) => model.data[mimeType] !== undefined) ?? null;
}

/** Say whether the stored face shows anything that was recorded: the plain line tells (core/face.py). */
export function hasHistory(model: IRenderMime.IMimeModel): boolean {
  const plain = model.data['text/plain'];
  const line = Array.isArray(plain) ? plain.join('') : plain;
  return model.data['text/html'] !== undefined && !(typeof line === 'string' && line.endsWith('nothing recorded yet'));
}

function text(value: ReadonlyPartialJSONValue | undefined, name: string): string {
  const found = field(value, name);
  return typeof found === 'string' ? found : '';
}

function field(value: ReadonlyPartialJSONValue | undefined, name: string): unknown {
  return typeof value === 'object' && value !== null && name in value ? (value as Record<string, unknown>)[name] : null;
}
