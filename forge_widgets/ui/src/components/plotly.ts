// Gets plotly.js once for a page, however many charts are on it: it is never part of a script of ours. Called by the
// hosts of charts, which know the ways to it.
import type * as PlotlyNamespace from 'plotly.js';

import type { ServerAccess } from '../stream';

export type Plotly = typeof PlotlyNamespace;

/** A way to the script of plotly.js; null where it does not lead there. Ends with `gone`. */
export type PlotlySource = (gone: AbortSignal) => Promise<BlobPart | null>;

const PATH = 'static/plotly-basic.min.js';

interface PlotlyWindow {
  /** Shared by every chart of the page, of whatever version of our scripts. */
  forgeWidgetsPlotly?: Promise<Plotly>;
  Plotly?: Plotly;
}

/** A chart was taken away while it asked for all of them. */
class AskerGone extends Error {}

/** Return plotly.js by the first source that has it. Rejects where none has, and once `gone`; a later call tries again. */
export async function loadPlotly(sources: readonly PlotlySource[], gone: AbortSignal): Promise<Plotly> {
  const page = window as PlotlyWindow;
  for (;;) {
    page.forgeWidgetsPlotly ??= load(sources, gone).catch((error: unknown) => {
      delete page.forgeWidgetsPlotly;
      throw error;
    });
    try {
      return await page.forgeWidgetsPlotly;
    } catch (error) {
      // Another chart asked, and went: this one asks itself.
      if (!(error instanceof AskerGone) || gone.aborted) throw error;
    }
  }
}

/** Return the way through a server of ours. */
export function plotlyOfServer(server: ServerAccess): PlotlySource {
  return async (gone) => {
    try {
      const response = await server.request(PATH, { cache: 'default', signal: gone });
      return response.ok ? await response.blob() : null;
    } catch {
      // No answer: another source may have it.
      return null;
    }
  };
}

async function load(sources: readonly PlotlySource[], gone: AbortSignal): Promise<Plotly> {
  for (const source of sources) {
    const script = await source(gone);
    if (script !== null) return run(script);
    if (gone.aborted) throw new AskerGone('the chart that asked for plotly.js was taken away');
  }
  throw new Error('plotly.js could not be fetched');
}

async function run(script: BlobPart): Promise<Plotly> {
  const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
  const page = window as PlotlyWindow;
  const before = page.Plotly;
  try {
    // The lab's bundler must leave this to the browser.
    await import(/* webpackIgnore: true */ /* @vite-ignore */ url);
    if (page.Plotly === undefined) throw new Error('plotly.js was loaded, and is not there');
    return page.Plotly;
  } finally {
    URL.revokeObjectURL(url);
    // Another one that somebody else put there stays theirs.
    if (before !== undefined) page.Plotly = before;
  }
}
