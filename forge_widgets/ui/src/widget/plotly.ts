// The way to plotly.js through the kernel: for pages that reach no server of ours. Called by the chart's anywidget.
import type { AnyModel } from '@anywidget/types';

import type { PlotlySource } from '../components/plotly';

const PATIENCE_MS = 30_000;

/** Return the way through the kernel of a model, which answers with the script as a buffer; null after 30 s. */
export function plotlyOfKernel(model: Pick<AnyModel, 'on' | 'off' | 'send'>): PlotlySource {
  return (gone) =>
    new Promise((resolve) => {
      const end = (script: BlobPart | null): void => {
        clearTimeout(patience);
        model.off('msg:custom', heard);
        gone.removeEventListener('abort', leave);
        resolve(script);
      };
      const leave = (): void => {
        end(null);
      };
      const heard = (message: unknown, buffers: readonly DataView[]): void => {
        const [buffer] = buffers;
        if (!isPlotly(message) || buffer === undefined) return;
        // A copy of its own: the buffer is a window into a message.
        end(new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength).slice());
      };
      const patience = setTimeout(leave, PATIENCE_MS);
      model.on('msg:custom', heard);
      gone.addEventListener('abort', leave);
      if (gone.aborted) leave();
      else model.send({ type: 'plotly' });
    });
}

function isPlotly(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'plotly';
}
