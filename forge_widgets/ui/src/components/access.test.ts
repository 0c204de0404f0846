import { afterEach, expect, it, vi } from 'vitest';

import { asSocket, jupyterPlace, serverAccess } from './access';

const PLACE = { url: 'http://a.example/base/forge/', socketUrl: 'ws://a.example/base/forge/', token: '', tokenInSocket: false };

function pageWith(config: object): Document {
  const page = document.implementation.createHTMLDocument();
  const script = page.createElement('script');
  script.id = 'jupyter-config-data';
  script.type = 'application/json';
  script.textContent = JSON.stringify(config);
  const base = page.createElement('base');
  base.href = 'https://hub.example/user/me/lab';
  page.head.append(base, script);
  return page;
}

/** Keep what is asked for, and answer nothing. */
function asked(): { url: string; init: RequestInit }[] {
  const requests: { url: string; init: RequestInit }[] = [];
  vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
    requests.push({ url, init });
    return Promise.resolve(new Response('{}'));
  });
  return requests;
}

afterEach(() => {
  document.cookie = '_xsrf=; max-age=0';
});

it('finds the server of a Jupyter page by what the page holds', () => {
  expect(jupyterPlace(pageWith({ baseUrl: '/user/me/', token: 't', wsUrl: '' }))).toEqual({
    url: 'https://hub.example/user/me/forge/',
    socketUrl: 'wss://hub.example/user/me/forge/',
    token: 't',
    tokenInSocket: false,
  });
  expect(jupyterPlace(pageWith({ baseUrl: '/', wsUrl: 'wss://sockets.example/', appendToken: 'true' }))).toMatchObject({
    socketUrl: 'wss://sockets.example/forge/',
    tokenInSocket: true,
  });
});

it('finds none where there is none', () => {
  expect(jupyterPlace(document.implementation.createHTMLDocument())).toBeNull();
  expect(jupyterPlace(pageWith({ appName: 'other' }))).toBeNull();
});

it('names sockets below the prefix, with a token only where a cookie does not do', () => {
  expect(serverAccess(PLACE).socketUrl('ws/a', { protocol: '1' })).toBe('ws://a.example/base/forge/ws/a?protocol=1');
  const withToken = serverAccess({ ...PLACE, token: 'a b', tokenInSocket: true });
  expect(withToken.socketUrl('ws/a', {})).toBe('ws://a.example/base/forge/ws/a?token=a+b');
  expect(serverAccess({ ...PLACE, token: 'secret' }).socketUrl('ws/a', {})).not.toContain('secret');
});

it('sends token and XSRF with a request, and the token never in its address', async () => {
  const requests = asked();
  document.cookie = '_xsrf=2%7Cabc';
  await serverAccess({ ...PLACE, token: 'secret' }).request('api/sessions', { query: { limit: '3' } });
  const [request] = requests;
  expect(request?.url).toBe('http://a.example/base/forge/api/sessions?limit=3');
  const headers = new Headers(request?.init.headers);
  expect(headers.get('Authorization')).toBe('token secret');
  expect(headers.get('X-XSRFToken')).toBe('2|abc');
  expect(request?.init.credentials).toBe('same-origin');
});

it('sends neither where there is none', async () => {
  const requests = asked();
  await serverAccess(PLACE).request('api/sessions');
  expect([...new Headers(requests[0]?.init.headers).keys()]).toEqual([]);
});

it('knows the sockets of http and of https', () => {
  expect(asSocket(new URL('http://a.example/x/')).href).toBe('ws://a.example/x/');
  expect(asSocket(new URL('https://a.example/')).href).toBe('wss://a.example/');
});
