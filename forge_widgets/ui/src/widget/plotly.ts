// Gets plotly.js once for a page, however many charts are on it: from the server where one is reached, else from the
// kernel. It is never part of a widget's script.
import type * as PlotlyNamespace from 'plotly.js';

import type { CommChannel, ServerAccess } from '../stream';

export type Plotly = typeof PlotlyNamespace;

const PATH = 'static/plotly-basic.min.js';
const KERNEL_PATIENCE_MS = 30_000;

interface PlotlyWindow {
  /** Shared by every chart of the page, of whatever version of this script. */
  forgeWidgetsPlotly?: Promise<Plotly>;
  Plotly?: Plotly;
}

/** Ways to plotly.js. */
export interface PlotlySources {
  readonly server: ServerAccess | null;
  readonly comm: PlotlyChannel;
  /** Ends the asking. */
  readonly gone: AbortSignal;
}

/** A comm whose messages bring buffers. */
export interface PlotlyChannel {
  send: CommChannel['send'];
  listen(listener: (message: unknown, buffers: readonly DataView[]) => void): () => void;
}

/** A chart was taken away while it asked for all of them. */
class AskerGone extends Error {}

/** Return plotly.js. Rejects where neither server nor kernel gave it, and once `gone`; a later call tries again. */
export async function loadPlotly(sources: PlotlySources): Promise<Plotly> {
  const page = window as PlotlyWindow;
  for (;;) {
    page.forgeWidgetsPlotly ??= load(sources).catch((error: unknown) => {
      delete page.forgeWidgetsPlotly;
      throw error;
    });
    try {
      return await page.forgeWidgetsPlotly;
    } catch (error) {
      // Another chart asked, and went: this one asks itself.
      if (!(error instanceof AskerGone) || sources.gone.aborted) throw error;
    }
  }
}

async function load({ server, comm, gone }: PlotlySources): Promise<Plotly> {
  const script = (await fromServer(server, gone)) ?? (await fromKernel(comm, gone));
  const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
  const page = window as PlotlyWindow;
  const before = page.Plotly;
  try {
    await import(/* @vite-ignore */ url);
    if (page.Plotly === undefined) throw new Error('plotly.js was loaded, and is not there');
    return page.Plotly;
  } finally {
    URL.revokeObjectURL(url);
    // Another one that somebody else put there stays theirs.
    if (before !== undefined) page.Plotly = before;
  }
}

async function fromServer(server: ServerAccess | null, gone: AbortSignal): Promise<Blob | null> {
  if (server === null) return null;
  try {
    const response = await server.request(PATH, { cache: 'default', signal: gone });
    return response.ok ? await response.blob() : null;
  } catch {
    // No answer: the kernel has a copy too.
    return null;
  }
}

function fromKernel(comm: PlotlyChannel, gone: AbortSignal): Promise<ArrayBuffer> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(patience);
      stop();
      gone.removeEventListener('abort', leave);
    };
    const leave = (): void => {
      end();
      reject(new AskerGone('the chart that asked for plotly.js was taken away'));
    };
    const patience = setTimeout(() => {
      end();
      reject(new Error('neither the server nor the kernel sent plotly.js within 30 s'));
    }, KERNEL_PATIENCE_MS);
    const stop = comm.listen((message, buffers) => {
      const [buffer] = buffers;
      if (!isPlotly(message) || buffer === undefined) return;
      end();
      // A copy of its own: the buffer is a window into a message.
      resolve(new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength).slice().buffer);
    });
    gone.addEventListener('abort', leave);
    if (gone.aborted) leave();
    else comm.send({ type: 'plotly' });
  });
}

function isPlotly(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'plotly';
}
