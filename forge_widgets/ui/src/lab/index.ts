// The JupyterLab and Notebook 7 extension: the list of its plugins, the only place that wires them.
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { settingsPlugin } from './settings';

const plugins: JupyterFrontEndPlugin<unknown>[] = [settingsPlugin];

export default plugins;
