// Reaches a server of ours from an ordinary page: addresses, token, cookie and XSRF. JupyterLab's own way is in lab/.
// Called by the anywidgets, the stand-alone page and the React package.
import type { ServerAccess } from '../stream';

/** Where a server of ours is, and how a page proves who it is. */
export interface ServerPlace {
  /** Absolute URL of PREFIX, with a slash at its end. */
  readonly url: string;
  /** The same for WebSockets. */
  readonly socketUrl: string;
  /** "" where a cookie is enough. */
  readonly token: string;
  /** Whether sockets need the token in their address, since there is no cookie. */
  readonly tokenInSocket: boolean;
  /** Whether it is of another origin than the page, whose cookies are none of its business. */
  readonly foreign?: boolean;
}

/** Return the way to a server. */
export function serverAccess(place: ServerPlace): ServerAccess {
  return {
    socketUrl(path, query) {
      const credentials: Record<string, string> = place.tokenInSocket && place.token !== '' ? { token: place.token } : {};
      return address(place.socketUrl, path, { ...query, ...credentials });
    },
    request(path, { query = {}, ...init } = {}) {
      const headers = new Headers(init.headers);
      if (place.token !== '') headers.set('Authorization', `token ${place.token}`);
      const xsrf = place.foreign === true ? '' : cookie('_xsrf');
      if (xsrf !== '') headers.set('X-XSRFToken', xsrf);
      return fetch(address(place.url, path, query), { credentials: 'same-origin', cache: 'no-store', ...init, headers });
    },
  };
}

/**
 * Find the Jupyter server that served this page; null where it was none (VS Code, Colab).
 * JupyterLab, Notebook 7 and Voilà keep its address in the page, as JSON in `#jupyter-config-data`.
 */
export function jupyterPlace(page: Document): ServerPlace | null {
  const config = pageConfig(page);
  const baseUrl = config['baseUrl'];
  if (baseUrl === undefined) return null;
  const url = new URL('forge/', new URL(withSlash(baseUrl), page.baseURI));
  const wsBase = config['wsUrl'];
  const socketUrl = wsBase === undefined || wsBase === '' ? asSocket(url) : new URL('forge/', withSlash(wsBase));
  return {
    url: url.href,
    socketUrl: socketUrl.href,
    token: config['token'] ?? '',
    tokenInSocket: config['appendToken'] === 'true',
  };
}

/** Return a URL of http or https with the scheme of its WebSockets. */
export function asSocket(url: URL): URL {
  const socket = new URL(url);
  socket.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return socket;
}

function pageConfig(page: Document): Readonly<Record<string, string>> {
  const text = page.getElementById('jupyter-config-data')?.textContent ?? '';
  if (text.trim() === '') return {};
  const parsed: unknown = JSON.parse(text);
  const pairs = typeof parsed === 'object' && parsed !== null ? Object.entries(parsed) : [];
  return Object.fromEntries(pairs.filter((pair): pair is [string, string] => typeof pair[1] === 'string'));
}

function address(base: string, path: string, query: Readonly<Record<string, string>>): string {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}

function withSlash(url: string): string {
  return url.endsWith('/') ? url : `${url}/`;
}

function cookie(name: string): string {
  const found = document.cookie.split('; ').find((pair) => pair.startsWith(`${name}=`));
  return found === undefined ? '' : decodeURIComponent(found.slice(name.length + 1));
}
