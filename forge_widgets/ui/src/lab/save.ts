// Saves a notebook once when a live output first appears in it: what is not in the file is gone after a reload.
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Widget } from '@lumino/widgets';

import { isFresh, notebookOf } from './host';

/** Outputs of one cell come within this time of each other: one save for all of them. */
const GATHER_MS = 200;

/** Saves notebooks for their new outputs. */
export class OutputSaver {
  readonly #wanted: () => boolean;
  // Notebooks that are being saved, and whether another output has come since that began.
  readonly #saving = new WeakMap<NotebookPanel, { again: boolean }>();

  /** `wanted` says whether a person wants this at all. */
  constructor(wanted: () => boolean) {
    this.#wanted = wanted;
  }

  /** Take note of an output that shows a session for the first time. */
  shown(output: Widget): void {
    // The output is put into its notebook right after it was rendered.
    setTimeout(() => {
      const panel = output.isDisposed ? null : notebookOf(output);
      if (panel !== null && this.#wanted() && isFresh(output)) void this.#saveFor(panel);
    }, 0);
  }

  async #saveFor(panel: NotebookPanel): Promise<void> {
    const known = this.#saving.get(panel);
    if (known !== undefined) {
      known.again = true;
      return;
    }
    const saving = { again: true };
    this.#saving.set(panel, saving);
    while (saving.again) {
      await new Promise((gathered) => setTimeout(gathered, GATHER_MS));
      saving.again = false;
      await save(panel);
    }
    this.#saving.delete(panel);
  }
}

/** Save a notebook where there is something to save, and something to save it to. */
async function save(panel: NotebookPanel): Promise<void> {
  if (panel.isDisposed) return;
  const { context } = panel;
  const { model } = context;
  if (!context.isReady || !model.dirty || model.readOnly || !context.canSave || context.path === '') return;
  // The lab calls a notebook clean after a save, whatever was changed while the save was on its way.
  const since = { changed: false };
  const note = (): void => {
    since.changed = true;
  };
  model.contentChanged.connect(note);
  try {
    await context.save();
  } catch (error) {
    // The lab has told the person; training and view go on.
    console.warn('The notebook was not saved for its new output.', error);
  } finally {
    model.contentChanged.disconnect(note);
    if (since.changed && !model.isDisposed) model.dirty = true;
  }
}
