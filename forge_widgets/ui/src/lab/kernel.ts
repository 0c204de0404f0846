// The way through a notebook's kernel to the widget that made an output, without a model or view of that widget: what the
// kernel pushes reaches the page anyway. So an output goes on where the server can't be used, and is live again after a
// reload in mid-cell, while the kernel is too busy to hand out its widgets. Called by the renderer, which owns it.
import type { ISessionContext } from '@jupyterlab/apputils';
import { KernelMessage, type Kernel } from '@jupyterlab/services';

import type { CommChannel } from '../stream';

type Listener = (message: unknown) => void;
type Says = (sender: unknown, message: KernelMessage.IMessage) => void;

/** The custom messages of one widget of a kernel. Rests until it is attached to a notebook's session; dispose ends it. */
export class KernelChannel implements CommChannel {
  readonly #widgetId: string;
  readonly #listeners = new Set<Listener>();
  #context: ISessionContext | null = null;
  #kernel: Kernel.IKernelConnection | null = null;
  // What is pushed unasked is thinned: while the server is being tried, it would stand in the way of the whole curves.
  #wanted = false;
  // Where a busy kernel answers all the same; asked for with the first wish for frames.
  #subshell: Promise<string | null> | null = null;

  constructor(widgetId: string) {
    this.#widgetId = widgetId;
  }

  /** Whether a kernel is there that may have the widget: one that was started again has not. */
  get alive(): boolean {
    return this.#kernel?.connectionStatus === 'connected' && this.#kernel.status !== 'dead';
  }

  /** Follow the kernel of a notebook, whichever it is. */
  attach(context: ISessionContext): void {
    if (context === this.#context) return;
    this.dispose();
    this.#context = context;
    context.iopubMessage.connect(this.#hear);
    context.connectionStatusChanged.connect(this.#meet);
    this.#meet();
  }

  dispose(): void {
    this.#context?.iopubMessage.disconnect(this.#hear);
    this.#context?.connectionStatusChanged.disconnect(this.#meet);
    const [kernel, subshell] = [this.#kernel, this.#subshell];
    this.#context = this.#kernel = this.#subshell = null;
    void subshell?.then((id) => {
      if (id !== null && kernel?.isDisposed === false) kernel.requestDeleteSubshell({ subshell_id: id });
    });
  }

  send(message: Record<string, unknown>): void {
    const kernel = this.#kernel;
    this.#wanted = message['type'] === 'subscribe';
    if (kernel === null || !this.alive) return;
    if (!this.#wanted) {
      // There is time: it may wait for the cell to end, and the subshell may be gone before it came there.
      this.#post(kernel, message, null);
      return;
    }
    this.#subshell ??= openSubshell(kernel);
    void this.#subshell.then((subshellId) => {
      if (kernel === this.#kernel && this.alive) this.#post(kernel, message, subshellId);
    });
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** A kernel that was connected just now does not know yet that somebody is here. */
  readonly #meet = (): void => {
    const kernel = this.#context?.session?.kernel ?? null;
    if (kernel !== this.#kernel) this.#subshell = null;
    this.#kernel = kernel;
    if (this.alive) this.#tell({ type: 'unsubscribed' });
  };

  readonly #hear: Says = (_, message) => {
    const said = customMessage(message, this.#widgetId);
    if (said !== null) this.#tell(said);
  };

  #post(kernel: Kernel.IKernelConnection, message: Record<string, unknown>, subshellId: string | null): void {
    kernel.sendShellMessage(
      KernelMessage.createMessage<KernelMessage.ICommMsgMsg<'shell'>>({
        msgType: 'comm_msg',
        channel: 'shell',
        session: kernel.clientId,
        username: kernel.username,
        subshellId,
        content: { comm_id: this.#widgetId, data: { method: 'custom', content: message } as never },
      }),
    );
  }

  #tell(message: unknown): void {
    if (!this.#wanted) return;
    for (const listener of this.#listeners) listener(message);
  }
}

/** Return the custom message of a widget that a kernel's message carries; null where it carries none. */
export function customMessage(message: KernelMessage.IMessage, widgetId: string): unknown {
  if (message.header.msg_type !== 'comm_msg') return null;
  // The id of a widget's model is that of its comm (ipywidgets' protocol 2).
  const { comm_id: commId, data } = message.content as KernelMessage.ICommMsgMsg['content'];
  return commId === widgetId && data['method'] === 'custom' ? (data['content'] ?? null) : null;
}

/** Ask for a subshell, where kernel and lab know them and the person has not turned them off; null where there is none. */
async function openSubshell(kernel: Kernel.IKernelConnection): Promise<string | null> {
  // Before services 7.4 there are none.
  if (!kernel.supportsSubshells || String(kernel.commsOverSubshells) === 'disabled') return null;
  try {
    return (await kernel.requestCreateSubshell({}).done).content.subshell_id;
  } catch (error) {
    console.warn('forge-widgets: the kernel gave no subshell; it answers when its cell has ended.', error);
    return null;
  }
}
