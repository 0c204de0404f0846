// The plugin that renders the outputs of sessions, in JupyterLab and Notebook 7.
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { labAccess } from './access';
import { bringIntoView, hostOf } from './host';
import { SESSION_MIME } from './output';
import { SessionRenderer } from './renderer';
import { OutputSaver } from './save';

const PLUGIN_ID = 'forge-widgets:plugin';

/** Before the widget view (-10): it needs the kernel, we don't. */
const RANK = -20;

/** Renders sessions, and saves notebooks in which they first appear. */
export const mimePlugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: 'Shows training sessions in notebooks, live from the server.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [ISettingRegistry],
  activate: (app: JupyterFrontEnd, rendermime: IRenderMimeRegistry, registry: ISettingRegistry | null): void => {
    const settings = registry === null ? null : new PluginSettings(registry);
    const saver = new OutputSaver(() => settings?.saveOnFirstOutput ?? true);
    const server = labAccess(app.serviceManager.serverSettings);
    rendermime.addFactory(
      {
        // Shows text and numbers through React alone: nothing in an untrusted notebook can make it do more.
        safe: true,
        mimeTypes: [SESSION_MIME],
        createRenderer: () =>
          new SessionRenderer({
            server,
            host: (output) => hostOf(output, rendermime),
            onShown: (output) => {
              saver.shown(output);
            },
            onBegun: bringIntoView,
          }),
      },
      RANK,
    );
  },
};

/** The settings as they are now; their defaults until the registry has loaded them. */
class PluginSettings {
  saveOnFirstOutput = true;

  constructor(registry: ISettingRegistry) {
    // Outputs are rendered before settings are there: nobody waits for them.
    void this.#load(registry);
  }

  async #load(registry: ISettingRegistry): Promise<void> {
    try {
      const settings = await registry.load(PLUGIN_ID);
      const read = (): void => {
        this.saveOnFirstOutput = settings.composite['saveOnFirstOutput'] !== false;
      };
      settings.changed.connect(read);
      read();
    } catch (error) {
      console.warn('The settings of training sessions could not be read; their defaults hold.', error);
    }
  }
}
