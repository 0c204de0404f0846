// Saves a notebook once when a live output first appears in it: what is not in the file is gone after a reload.
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Widget } from '@lumino/widgets';

import { isFresh, notebookOf } from './host';

/** Outputs of one cell come within this time of each other: one save for all of them. */
const GATHER_MS = 200;

/** Saves notebooks for their new outputs. */
export class OutputSaver {
  readonly #wanted: () => boolean;
  // Notebooks that will be saved, or are being saved.
  readonly #busy = new WeakSet<NotebookPanel>();

  /** `wanted` says whether a person wants this at all. */
  constructor(wanted: () => boolean) {
    this.#wanted = wanted;
  }

  /** Take note of an output that shows a session for the first time. */
  shown(output: Widget): void {
    // The output is put into its notebook right after it was rendered.
    setTimeout(() => {
      const panel = output.isDisposed ? null : notebookOf(output);
      if (panel !== null && isFresh(output)) this.#saveSoon(panel);
    }, 0);
  }

  #saveSoon(panel: NotebookPanel): void {
    if (!this.#wanted() || this.#busy.has(panel)) return;
    this.#busy.add(panel);
    setTimeout(() => {
      void save(panel).finally(() => this.#busy.delete(panel));
    }, GATHER_MS);
  }
}

/** Save a notebook where there is something to save, and something to save it to. */
async function save(panel: NotebookPanel): Promise<void> {
  if (panel.isDisposed) return;
  const { context } = panel;
  if (!context.isReady || !context.model.dirty || context.model.readOnly || !context.canSave || context.path === '') return;
  try {
    await context.save();
  } catch (error) {
    // The lab has told the person; training and view go on.
    console.warn('The notebook was not saved for its new output.', error);
  }
}
