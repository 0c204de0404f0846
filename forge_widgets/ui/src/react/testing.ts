// What the tests of the React package share: a page whose network leads to a test server, and counts what is open.
// Imported by tests alone.
import { createElement, StrictMode, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { flushSync } from 'react-dom';
import { vi } from 'vitest';

import { openNodeSocket, type TestServer } from '../stream/testserver';

/** What a page has open. */
export interface Network {
  readonly url: string;
  readonly sockets: Set<WebSocket>;
  readonly requests: Set<object>;
  /** WebSockets ever opened. */
  opened: number;
}

/** Lead the page's WebSocket and fetch to a test server. */
export function connect(server: TestServer): Network {
  const access = server.access();
  const network: Network = { url: access.socketUrl('', {}).replace(/\/\?$/, ''), sockets: new Set(), requests: new Set(), opened: 0 };
  vi.stubGlobal('WebSocket', function open(url: string) {
    const socket = openNodeSocket(url);
    network.opened += 1;
    network.sockets.add(socket);
    socket.addEventListener('close', () => network.sockets.delete(socket));
    return socket;
  });
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    const { pathname, searchParams } = new URL(url);
    const request = {};
    network.requests.add(request);
    try {
      return await access.request(pathname.slice(1), { ...init, query: Object.fromEntries(searchParams) });
    } finally {
      network.requests.delete(request);
    }
  });
  return network;
}

/** Something rendered in StrictMode, as a page in development is. */
export class Mounted {
  readonly host = document.createElement('div');
  readonly #root = createRoot(this.host);

  constructor(node: ReactNode) {
    document.body.append(this.host);
    this.render(node);
  }

  render(node: ReactNode): void {
    flushSync(() => {
      this.#root.render(createElement(StrictMode, null, node));
    });
  }

  unmount(): void {
    flushSync(() => {
      this.#root.unmount();
    });
    this.host.remove();
  }
}
