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
}

/** A comm whose messages bring buffers. */
export interface PlotlyChannel {
  send: CommChannel['send'];
  listen(listener: (message: unknown, buffers: readonly DataView[]) => void): () => void;
}

/** Return plotly.js. Rejects where neither server nor kernel gave it; a later call tries again. */
export function loadPlotly(sources: PlotlySources): Promise<Plotly> {
  const page = window as PlotlyWindow;
  page.forgeWidgetsPlotly ??= load(sources).catch((error: unknown) => {
    delete page.forgeWidgetsPlotly;
    throw error;
  });
  return page.forgeWidgetsPlotly;
}

async function load({ server, comm }: PlotlySources): Promise<Plotly> {
  const script = (await fromServer(server)) ?? (await fromKernel(comm));
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

async function fromServer(server: ServerAccess | null): Promise<Blob | null> {
  if (server === null) return null;
  try {
    const response = await server.request(PATH, { cache: 'default' });
    return response.ok ? await response.blob() : null;
  } catch {
    // No answer: the kernel has a copy too.
    return null;
  }
}

function fromKernel(comm: PlotlyChannel): Promise<ArrayBuffer> {
  return new Promise((resolve, reject) => {
    const patience = setTimeout(() => {
      stop();
      reject(new Error('neither the server nor the kernel sent plotly.js within 30 s'));
    }, KERNEL_PATIENCE_MS);
    const stop = comm.listen((message, buffers) => {
      const [buffer] = buffers;
      if (!isPlotly(message) || buffer === undefined) return;
      clearTimeout(patience);
      stop();
      // A copy of its own: the buffer is a window into a message.
      resolve(new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength).slice().buffer);
    });
    comm.send({ type: 'plotly' });
  });
}

function isPlotly(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'plotly';
}
