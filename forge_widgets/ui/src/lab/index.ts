// The JupyterLab and Notebook 7 extension: the list of its plugins, the only place that wires them.
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { mimePlugin } from './mime';
import { sessionsPlugin } from './sessions';

const plugins: JupyterFrontEndPlugin<void>[] = [mimePlugin, sessionsPlugin];

export default plugins;
