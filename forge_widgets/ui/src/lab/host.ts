// Where an output stands: in which notebook, with which kernel and renderers. Asked each time, since outputs move.
import type { ISessionContext } from '@jupyterlab/apputils';
import { CodeCell, MarkdownCell } from '@jupyterlab/cells';
import { NotebookPanel } from '@jupyterlab/notebook';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { Widget } from '@lumino/widgets';

/** What the renderer of an output has to know of its surroundings. */
export interface OutputHost {
  /** The renderers of its notebook: only they know the notebook's widgets. */
  readonly rendermime: IRenderMimeRegistry;
  /** Whether a kernel is there that could answer. */
  readonly kernelLives: boolean;
  /** Its session, with whichever kernel; null outside a notebook. */
  readonly session: ISessionContext | null;
}

/** Return the surroundings of an output; outside a notebook the lab's own renderers and no kernel. */
export function hostOf(output: Widget, fallback: IRenderMimeRegistry): OutputHost {
  const panel = ancestor(output, NotebookPanel);
  if (panel === null) return { rendermime: fallback, kernelLives: false, session: null };
  const kernel = panel.sessionContext.session?.kernel;
  const kernelLives = kernel?.connectionStatus === 'connected' && kernel.status !== 'dead';
  return { rendermime: panel.content.rendermime, kernelLives, session: panel.sessionContext };
}

/** Return the notebook that an output stands in; null for any other place. */
export function notebookOf(output: Widget): NotebookPanel | null {
  return ancestor(output, NotebookPanel);
}

/** Say whether the cell of an output is being executed: its output is new, then, and not one that was opened. */
export function isFresh(output: Widget): boolean {
  const future = ancestor(output, CodeCell)?.outputArea.future;
  return future !== undefined && !future.isDisposed;
}

/** Let a notebook come to an output, its heading first; not while somebody writes in it. */
export function bringIntoView(output: Widget): void {
  const cells = notebookOf(output)?.content;
  const cell = ancestor(output, CodeCell);
  if (cells === undefined || cell === null || cells.mode === 'edit') return;
  const index = cells.widgets.indexOf(cell);
  const headed = cells.widgets[index - 1] instanceof MarkdownCell;
  void cells.scrollToItem(headed ? index - 1 : index, 'start', 0);
}

function ancestor<T extends Widget>(widget: Widget, kind: abstract new (...parameters: never[]) => T): T | null {
  for (let parent = widget.parent; parent !== null; parent = parent.parent) {
    if (parent instanceof kind) return parent;
  }
  return null;
}
