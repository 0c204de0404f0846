// What an output says of its session: our MIME type's data and metadata, read once at the edge.
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { ReadonlyPartialJSONValue } from '@lumino/coreutils';

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
}

/** Return the session that an output names; null where it names none. */
export function sessionOutput(model: IRenderMime.IMimeModel): SessionOutput | null {
  const sessionId = text(model.data[SESSION_MIME], 'sessionId');
  return sessionId === '' ? null : { sessionId, storeId: text(model.metadata[SESSION_MIME], 'storeId') };
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
