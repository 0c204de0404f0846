// The stand-alone page as people see it: sessions at the side, one of them in the middle; on a phone one after the other.
import { useCallback, useEffect, useMemo, useSyncExternalStore, type JSX } from 'react';

import { Dashboard } from '../components/Dashboard';
import { SessionList } from '../components/SessionList';
import type { SessionsPoll } from '../components/sessions';
import { SessionStream, type ServerAccess } from '../stream';

export interface PageProps {
  readonly server: ServerAccess;
  readonly poll: SessionsPoll;
}

/** Show the list of sessions and the one that the address names. */
export function Page({ server, poll }: PageProps): JSX.Element {
  const session = useSyncExternalStore(followAddress, namedSession);
  const open = useCallback((sessionId: string | null) => {
    const url = new URL(location.href);
    if (sessionId === null) url.searchParams.delete('session');
    else url.searchParams.set('session', sessionId);
    history.pushState(null, '', url);
    window.dispatchEvent(new PopStateEvent('popstate'));
  }, []);
  useEffect(() => {
    document.title = session === null ? 'Training sessions' : `${session} · training`;
  }, [session]);
  return (
    <div className={session === null ? 'forge-page' : 'forge-page forge-page-open'}>
      <aside className="forge-page-list">
        <h1>Training sessions</h1>
        <SessionList poll={poll} onOpen={open} selected={session} />
      </aside>
      <section className="forge-page-main" aria-label="Session">
        {session === null ? (
          <p className="forge-page-hint">Choose a session to see it live.</p>
        ) : (
          <>
            <button
              type="button"
              className="forge-page-back"
              onClick={() => {
                open(null);
              }}
            >
              ‹ All sessions
            </button>
            <Session key={session} sessionId={session} server={server} />
          </>
        )}
      </section>
    </div>
  );
}

function Session({ sessionId, server }: { readonly sessionId: string; readonly server: ServerAccess }): JSX.Element {
  const stream = useMemo(() => new SessionStream({ sessionId, server }), [sessionId, server]);
  useEffect(() => {
    stream.start();
    return () => {
      stream.close();
    };
  }, [stream]);
  return <Dashboard stream={stream} />;
}

function followAddress(listener: () => void): () => void {
  window.addEventListener('popstate', listener);
  return () => {
    window.removeEventListener('popstate', listener);
  };
}

function namedSession(): string | null {
  return new URL(location.href).searchParams.get('session');
}
