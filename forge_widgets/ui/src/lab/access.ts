// Reaches our server extension the way JupyterLab reaches its own server: token, XSRF and base URL are its settings'.
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { ServerAccess } from '../stream';

const PREFIX = 'forge';

/** Return the way to the server extension of a Jupyter server. */
export function labAccess(settings: ServerConnection.ISettings): ServerAccess {
  return {
    socketUrl(path, query) {
      const token = settings.appendToken && settings.token !== '' ? { token: settings.token } : {};
      return URLExt.join(settings.wsUrl, PREFIX, path) + URLExt.objectToQueryString({ ...query, ...token });
    },
    openSocket: (url) => new settings.WebSocket(url),
    request(path, { query = {}, ...init } = {}) {
      const url = URLExt.join(settings.baseUrl, PREFIX, path) + URLExt.objectToQueryString(query);
      return ServerConnection.makeRequest(url, init, settings);
    },
  };
}
