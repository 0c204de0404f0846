// What the kernel sets the traits of a chart's widget to, read from the messages that the lab gets anyway: the chart in
// an output follows `chart.metric = …` without a view of that widget. Pure. Called by the live chart.
import type { KernelMessage } from '@jupyterlab/services';

import type { Shown } from '../components/figure';

/** Return what a message of the kernel changes of the chart of a widget; null where it changes nothing. */
export function chartTraits(message: KernelMessage.IMessage, widgetId: string): Partial<Shown> | null {
  if (message.header.msg_type !== 'comm_msg') return null;
  // The id of a widget's model is that of its comm; ipywidgets' messages carry the changed traits (its protocol 2).
  const { comm_id: commId, data } = message.content as KernelMessage.ICommMsgMsg['content'];
  if (commId !== widgetId || data['method'] !== 'update') return null;
  const state = data['state'];
  if (typeof state !== 'object' || state === null) return null;
  const { metric, log_y: logY } = state as { readonly metric?: unknown; readonly log_y?: unknown };
  const changed = {
    ...(typeof metric === 'string' ? { metric } : {}),
    ...(typeof logY === 'boolean' ? { logY } : {}),
  };
  return Object.keys(changed).length === 0 ? null : changed;
}
