// Which face of an output is shown, and what is said of it. Pure. Called by the renderer.
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';

import { sentence } from '../components/words';
import type { SessionView } from '../stream';
import { hasHistory, WIDGET_MIME } from './output';

/** What is shown of an output: the dashboard or chart straight from the server, the kernel's widget, or what the notebook holds. */
export type Face = 'live' | 'widget' | 'stored';

/** Choose what to show of a session: the live view as soon as the server tells more than the notebook holds. */
export function faceOf(view: SessionView, model: IRenderMime.IMimeModel, kernelLives: boolean): Face {
  const stored = hasHistory(model);
  if (view.loaded) return view.state.status === 'waiting' && stored ? 'stored' : 'live';
  const failed = view.link.transport === null && view.link.reason !== '';
  if (!failed) return stored ? 'stored' : 'live';
  // The widget's script came with the notebook: it runs where the notebook is trusted, and nowhere else.
  if (model.data[WIDGET_MIME] !== undefined && model.trusted && kernelLives) return 'widget';
  return stored ? 'stored' : 'live';
}

/** Say why what is shown is no more than what the notebook holds. */
export function noteOf(view: SessionView): string {
  if (view.loaded) return `History only: this server’s store no longer has ${view.sessionId}.`;
  return view.link.reason === ''
    ? `As stored in the notebook; looking for ${view.sessionId}…`
    : `History only, as stored in the notebook. ${sentence(view.link.reason)}`;
}
