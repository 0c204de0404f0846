// Renders the output of a session: live from the server, without the kernel. Where the server can't, or keeps another
// store, it shows another face of the same output: the widget while its kernel lives, else what is stored in the notebook.
import type { ISessionContext } from '@jupyterlab/apputils';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { Message } from '@lumino/messaging';
import { Panel, Widget } from '@lumino/widgets';
import { createElement } from 'react';

import { Dashboard } from '../components/Dashboard';
import { lensOn } from '../components/lens';
import { SessionStream, type ServerAccess } from '../stream';
import { LiveChart } from './chart';
import { faceOf, noteOf, type Face } from './faces';
import type { OutputHost } from './host';
import { KernelChannel } from './kernel';
import { sameOutput, sessionOutput, storedMime, WIDGET_MIME, widgetId, type SessionOutput } from './output';

export interface SessionRendererOptions {
  readonly server: ServerAccess;
  /** Finds out where an output stands, once it stands there. */
  readonly host: (output: Widget) => OutputHost;
  /** Told once for each renderer that shows a session. */
  readonly onShown: (output: Widget) => void;
  /** Told each time that the training of a followed session begins, or goes on. */
  readonly onBegun: (output: Widget) => void;
}

/** The renderer of one output. Owns its stream; dispose closes it. */
export class SessionRenderer extends Panel implements IRenderMime.IRenderer {
  readonly #options: SessionRendererOptions;
  #model: IRenderMime.IMimeModel | null = null;
  #session: SessionOutput | null = null;
  #stream: SessionStream | null = null;
  #channel: KernelChannel | null = null;
  #status = '';
  #face: Face | null = null;
  #note: Widget | null = null;

  constructor(options: SessionRendererOptions) {
    super();
    this.#options = options;
    this.addClass('forge-output');
  }

  /** Show the session that a model names; called again when the output changes. */
  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.#model = model;
    const session = sessionOutput(model);
    if (sameOutput(session, this.#session) && this.#face !== null) return;
    this.#close();
    this.#session = session;
    if (session === null) {
      await this.#show('stored', 'This output names no session.');
      return;
    }
    this.#channel = this.#channelOf(session, model);
    this.#stream = this.#open(session, this.#channel);
    this.#choose();
    this.#options.onShown(this);
  }

  override dispose(): void {
    if (this.isDisposed) return;
    this.#close();
    super.dispose();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    // Only here is it known which notebook, and so which kernel, the output belongs to.
    const { session } = this.#options.host(this);
    if (session !== null) this.#channel?.attach(session);
    this.#choose();
  }

  /** The way through the kernel, in a trusted notebook. A chart has none: it needs its script from the kernel, too. */
  #channelOf({ chart }: SessionOutput, model: IRenderMime.IMimeModel): KernelChannel | null {
    const widget = widgetId(model);
    if (chart !== null || widget === '' || !model.trusted) return null;
    const channel = new KernelChannel(widget);
    const { session } = this.#options.host(this);
    if (session !== null) channel.attach(session);
    return channel;
  }

  #open({ sessionId, storeId }: SessionOutput, comm: KernelChannel | null): SessionStream {
    const { server } = this.#options;
    const stream = new SessionStream({ sessionId, server, comm, ...(storeId === '' ? {} : { storeId }) });
    stream.subscribe(() => {
      this.#choose();
      this.#follow(stream.view.state.status);
    });
    stream.start();
    return stream;
  }

  #close(): void {
    this.#stream?.close();
    this.#channel?.dispose();
    this.#stream = this.#channel = null;
    this.#status = '';
    this.#face = null;
  }

  #choose(): void {
    if (this.#stream === null || this.#model === null || this.isDisposed) return;
    const { view } = this.#stream;
    const face = faceOf(view, this.#model, this.#channel === null && this.#options.host(this).kernelLives);
    void this.#show(face, noteOf(view));
  }

  #follow(status: string): void {
    const begins = status === 'running' && this.#status !== 'running';
    this.#status = status;
    if (begins && this.#session?.followed === true) this.#options.onBegun(this);
  }

  async #show(face: Face, note: string): Promise<void> {
    if (face === this.#face) {
      this.#note?.node.replaceChildren(note);
      return;
    }
    this.#face = face;
    while (this.widgets.length > 0) this.widgets[0]?.dispose();
    this.#note = null;
    if (face === 'live' && this.#stream !== null) {
      this.addWidget(this.#live(this.#stream));
      return;
    }
    await this.#showStored(note);
    if (face === 'widget' && this.#face === 'widget') await this.#showWidget();
  }

  #live(stream: SessionStream): Widget {
    const shown = this.#session?.chart ?? null;
    const { server, host } = this.#options;
    const openLens = lensOn(stream, server);
    if (shown === null || this.#model === null) return ReactWidget.create(createElement(Dashboard, { stream, openLens }));
    const kernelSays = (): ISessionContext['iopubMessage'] | null => host(this).session?.iopubMessage ?? null;
    return new LiveChart({ stream, openLens, shown, server, kernelSays, widgetId: widgetId(this.#model) });
  }

  /** Show what the notebook holds of the session, and why it is no more than that. */
  async #showStored(note: string): Promise<void> {
    const model = this.#model;
    const mimeType = model === null ? null : storedMime(model);
    if (model !== null && mimeType !== null) {
      const stored = this.#options.host(this).rendermime.createRenderer(mimeType);
      stored.addClass('forge-stored');
      this.addWidget(stored);
      await stored.renderModel(model);
    }
    this.#note = new Widget();
    this.#note.addClass('forge-root');
    this.#note.addClass('forge-stored-note');
    this.#note.node.replaceChildren(note);
    this.addWidget(this.#note);
  }

  /** Let the kernel's widget take the place of the stored face, once it has something to show. */
  async #showWidget(): Promise<void> {
    if (this.#model === null) return;
    const before = [...this.widgets];
    const widget = this.#options.host(this).rendermime.createRenderer(WIDGET_MIME);
    widget.hide();
    this.addWidget(widget);
    // "Loading widget…" is text alone; the view itself brings elements.
    const shown = new MutationObserver(() => {
      if (widget.node.childElementCount === 0) return;
      shown.disconnect();
      for (const old of before) if (!old.isDisposed) old.dispose();
      this.#note = null;
      widget.show();
    });
    shown.observe(widget.node, { childList: true });
    widget.disposed.connect(() => {
      shown.disconnect();
    });
    await widget.renderModel(this.#model);
  }
}
