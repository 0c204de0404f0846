// The plugin of JupyterLab's panel of sessions, and of the tabs that they open in.
import { ILabShell, ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { ReactWidget } from '@jupyterlab/ui-components';
import { createElement } from 'react';

import { Dashboard } from '../components/Dashboard';
import { lensOn } from '../components/lens';
import type { OpenLens } from '../components/uselens';
import { SessionStream, type ServerAccess } from '../stream';
import { labAccess } from './access';
import { sessionsIcon } from './icon';
import { SessionsPanel } from './panel';

const OPEN_SESSION = 'forge-widgets:open-session';
const SHOW_SESSIONS = 'forge-widgets:show-sessions';
/** Below file browser and running kernels, above extensions. */
const PANEL_RANK = 600;

/** Lists sessions beside the notebooks and opens them. Notebook 7 has no place for either: there it does nothing. */
export const sessionsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'forge-widgets:sessions',
  description: 'Lists training sessions in a side panel and opens them in tabs.',
  autoStart: true,
  optional: [ILabShell, ILayoutRestorer, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    shell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
  ): void => {
    if (shell === null) return;
    const server = labAccess(app.serviceManager.serverSettings);
    const tabs = new SessionTabs(shell, server);
    app.commands.addCommand(OPEN_SESSION, {
      label: (args) => (typeof args['sessionId'] === 'string' ? `Open ${args['sessionId']}` : 'Open a Training Session'),
      icon: sessionsIcon,
      describedBy: { args: { type: 'object', properties: { sessionId: { type: 'string' } }, required: ['sessionId'] } },
      execute: ({ sessionId }) => {
        if (typeof sessionId !== 'string' || sessionId === '') throw new Error(`${OPEN_SESSION} needs {"sessionId": …}`);
        tabs.open(sessionId);
      },
    });
    const panel = new SessionsPanel(server, (sessionId) => {
      void app.commands.execute(OPEN_SESSION, { sessionId });
    });
    shell.add(panel, 'left', { rank: PANEL_RANK, type: 'Training sessions' });
    app.commands.addCommand(SHOW_SESSIONS, {
      label: 'Show Training Sessions',
      icon: sessionsIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => {
        shell.activateById(panel.id);
      },
    });
    palette?.addItem({ command: SHOW_SESSIONS, category: 'Training' });
    if (restorer === null) return;
    restorer.add(panel, panel.id);
    void restorer.restore(tabs.tracker, {
      command: OPEN_SESSION,
      args: ({ content }) => ({ sessionId: content.sessionId }),
      name: ({ content }) => content.sessionId,
    });
  },
};

/** The tabs of sessions: one for each. */
class SessionTabs {
  readonly tracker = new WidgetTracker<MainAreaWidget<SessionTab>>({ namespace: 'forge-widgets-session' });
  readonly #shell: ILabShell;
  readonly #server: ServerAccess;

  constructor(shell: ILabShell, server: ServerAccess) {
    this.#shell = shell;
    this.#server = server;
  }

  /** Show the tab of a session; open it where there is none. */
  open(sessionId: string): void {
    const known = this.tracker.find(({ content }) => content.sessionId === sessionId);
    const tab = known ?? this.#make(sessionId);
    this.#shell.activateById(tab.id);
  }

  #make(sessionId: string): MainAreaWidget<SessionTab> {
    const tab = new MainAreaWidget({ content: new SessionTab(sessionId, this.#server) });
    // There is nothing in it.
    tab.toolbar.hide();
    tab.id = `forge-widgets-session-${sessionId}`;
    tab.title.label = sessionId;
    tab.title.caption = `Training session ${sessionId}`;
    tab.title.icon = sessionsIcon;
    tab.title.closable = true;
    this.#shell.add(tab, 'main');
    void this.tracker.add(tab);
    return tab;
  }
}

/** The dashboard of one session in a tab. Owns its stream. */
class SessionTab extends ReactWidget {
  readonly sessionId: string;
  readonly #stream: SessionStream;
  readonly #openLens: OpenLens;

  constructor(sessionId: string, server: ServerAccess) {
    super();
    this.sessionId = sessionId;
    this.#stream = new SessionStream({ sessionId, server });
    this.#openLens = lensOn(this.#stream, server);
    this.addClass('forge-tab');
    this.#stream.start();
  }

  override dispose(): void {
    if (this.isDisposed) return;
    this.#stream.close();
    super.dispose();
  }

  protected override render(): React.ReactElement {
    return createElement(Dashboard, { stream: this.#stream, openLens: this.#openLens });
  }
}
