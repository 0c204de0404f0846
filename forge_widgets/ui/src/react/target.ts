// From what the author of a page wrote to what is followed: defaults, and one object for as long as it stays the same.
// Called by the hooks; touches no window, so that pages can be rendered on a server.
import { useMemo } from 'react';

import type { ProgressSource } from './contract';
import type { Target } from './follower';

const WEBSOCKET_URL = 'ws://localhost:8001';
const POLLING_MS = { usual: 1000, least: 50 };

/** Return what is to be followed; null where there is no session yet. */
export function useTarget(sessionId: string | null | undefined, source: ProgressSource): Target | null {
  const { websocketUrl = WEBSOCKET_URL, token = '', fallbackPollingInterval = POLLING_MS.usual } = source;
  const pollingMs = Number.isFinite(fallbackPollingInterval)
    ? Math.max(POLLING_MS.least, fallbackPollingInterval)
    : POLLING_MS.usual;
  return useMemo(() => {
    if (sessionId === null || sessionId === undefined || sessionId === '') return null;
    // However a server's address is written, who means the same one shares a stream.
    const server = websocketUrl.replace(/^http/i, 'ws').replace(/\/+$/, '');
    const key = JSON.stringify([sessionId, server, token, pollingMs]);
    return { key, sessionId, websocketUrl, token, pollingMs };
  }, [sessionId, websocketUrl, token, pollingMs]);
}
