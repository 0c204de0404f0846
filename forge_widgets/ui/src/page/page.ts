// The stand-alone server's page: mounts the views where there is no JupyterLab.
import { formatCount } from '../stream/numbers';

const host = document.getElementById('forge-widgets');
if (host !== null) host.textContent = `${formatCount(0)} sessions`;
