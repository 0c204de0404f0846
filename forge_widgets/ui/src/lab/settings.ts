// The extension's settings, parsed once into a typed value; every other plugin asks for them by token.
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Token } from '@lumino/coreutils';

/** The id under which schema/plugin.json is known. */
export const SETTINGS_ID = 'forge-widgets:plugin';

/** What a person may set. */
export interface Settings {
  /** Save the notebook once when a live output first appears. */
  readonly saveOnFirstLiveOutput: boolean;
}

/** Reads the settings as they are now; the defaults where JupyterLab has no settings. */
export type SettingsReader = () => Settings;

/** The token of the settings reader. */
export const SettingsToken = new Token<SettingsReader>(SETTINGS_ID);

const DEFAULTS: Settings = { saveOnFirstLiveOutput: true };

/** Provides the settings. */
export const settingsPlugin: JupyterFrontEndPlugin<SettingsReader> = {
  id: SETTINGS_ID,
  description: 'The settings of the training progress views.',
  autoStart: true,
  optional: [ISettingRegistry],
  provides: SettingsToken,
  activate: async (_app, registry: ISettingRegistry | null): Promise<SettingsReader> => {
    if (registry === null) return () => DEFAULTS;
    const loaded = await registry.load(SETTINGS_ID);
    return () => ({
      saveOnFirstLiveOutput: loaded.composite['saveOnFirstLiveOutput'] !== false,
    });
  },
};
