// Where a page looks for sessions: from what its author wrote as `websocketUrl` to the addresses of a server. Called by the
// follower, in a browser only.
import { asSocket, type ServerPlace } from '../components/access';

const SCHEMES: Readonly<Record<string, string>> = { 'ws:': 'http:', 'wss:': 'https:', 'http:': 'http:', 'https:': 'https:' };
const SESSION_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** Read the address of a server; a relative one is of the page's own server. Throws an Error that says what was expected. */
export function placeOf(websocketUrl: string, token: string, baseUri: string): ServerPlace {
  const url = parsed(websocketUrl, baseUri);
  const named = url.searchParams.get('token') ?? '';
  const wanted = token === '' ? named : token;
  url.search = url.hash = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return {
    url: url.href,
    socketUrl: asSocket(url).href,
    token: wanted,
    // A page can't give a WebSocket a header: where a token is needed it has to stand in the address.
    tokenInSocket: true,
    foreign: url.origin !== new URL(baseUri).origin,
  };
}

/** See that a session can have this name. Throws an Error that says what was expected. */
export function checkSessionId(sessionId: string): void {
  if (SESSION_ID.test(sessionId) && sessionId !== '.' && sessionId !== '..') return;
  throw new Error(`the sessionId ${quoted(sessionId)} can't be used: expected 1 to 128 letters, digits, “.”, “_” or “-”`);
}

function parsed(websocketUrl: string, baseUri: string): URL {
  let url: URL | null = null;
  try {
    url = new URL(websocketUrl, baseUri);
  } catch {
    // Told below, like an address of another kind.
  }
  const scheme = SCHEMES[url?.protocol ?? ''];
  if (url === null || scheme === undefined || url.host === '') {
    throw new Error(`the websocketUrl ${quoted(websocketUrl)} can't be used: expected an address such as ws://localhost:8001, or a path of this page's server`);
  }
  // A URL changes between these schemes only by being written anew.
  return new URL(scheme + url.href.slice(url.protocol.length));
}

function quoted(text: string): string {
  return `“${text.slice(0, 200)}”`;
}
