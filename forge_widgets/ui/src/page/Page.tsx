// The stand-alone page as people see it: sessions at the side, one of them in the middle; on a phone one after the other.
import { useEffect, useLayoutEffect, useMemo, useRef, useSyncExternalStore, type JSX } from 'react';

import { Dashboard } from '../components/Dashboard';
import { lensOn } from '../components/lens';
import { SessionList } from '../components/SessionList';
import type { SessionsPoll } from '../components/sessions';
import { SessionStream, type ServerAccess } from '../stream';
import { followAddress, leaveSession, namedSession, openSession } from './address';
import { followPage, isPageShown, isWide } from './screen';

export interface PageProps {
  readonly server: ServerAccess;
  readonly poll: SessionsPoll;
}

/** Show the list of sessions and the one that the address names. */
export function Page({ server, poll }: PageProps): JSX.Element {
  const session = useSyncExternalStore(followAddress, namedSession);
  const wide = useSyncExternalStore(followPage, isWide);
  usePolling(poll, session === null || wide);
  const mainRef = useReturn(session);
  const { sessions, loaded } = useSyncExternalStore(poll.subscribe, poll.view);
  useEffect(() => {
    document.title = session === null ? 'Training sessions' : `${session} · training`;
  }, [session]);
  return (
    <div className={session === null ? 'forge-page' : 'forge-page forge-page-open'}>
      <aside className="forge-page-list">
        <h1>Training sessions</h1>
        <SessionList poll={poll} onOpen={openSession} selected={session} />
      </aside>
      <section className="forge-page-main" aria-label="Session" tabIndex={-1} ref={mainRef}>
        {session === null ? (
          loaded && sessions.length > 0 && <p className="forge-page-hint">Choose a session to see it live.</p>
        ) : (
          <>
            <div className="forge-page-back">
              <button type="button" onClick={leaveSession}>
                ‹ All sessions
              </button>
            </div>
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
    const start = (): void => {
      stream.start();
    };
    const close = (): void => {
      stream.close();
    };
    start();
    // Some browsers keep no page with an open socket for the way back; one without goes on from its cursor.
    window.addEventListener('pagehide', close);
    window.addEventListener('pageshow', start);
    return () => {
      window.removeEventListener('pagehide', close);
      window.removeEventListener('pageshow', start);
      close();
    };
  }, [stream]);
  const openLens = useMemo(() => lensOn(stream, server), [stream, server]);
  return <Dashboard stream={stream} openLens={openLens} />;
}

/** Ask for the list while somebody sees it: not in a tab behind another, nor on a phone that shows a session. */
function usePolling(poll: SessionsPoll, listed: boolean): void {
  useEffect(() => {
    if (!listed) return undefined;
    // At once, not with the next rendering: a hidden tab has to wait a second for that.
    const follow = (): void => {
      if (isPageShown()) poll.start();
      else poll.stop();
    };
    follow();
    const unfollow = followPage(follow);
    return () => {
      unfollow();
      poll.stop();
    };
  }, [poll, listed]);
}

/** Begin a session at its top, and come back to the list where one left it; the ref is for where a session stands. */
function useReturn(session: string | null): { readonly current: HTMLElement | null } {
  const mainRef = useRef<HTMLElement | null>(null);
  const listRef = useRef<{ readonly top: number; readonly focused: Element | null }>({ top: 0, focused: null });
  const openRef = useRef(session);
  useLayoutEffect(() => {
    const before = openRef.current;
    openRef.current = session;
    if (session !== null) {
      if (before === session) return undefined;
      window.scrollTo(0, 0);
      // On a phone the row that was touched has gone.
      if (before === null && !isWide()) mainRef.current?.focus({ preventScroll: true });
      return undefined;
    }
    const { top, focused } = listRef.current;
    window.scrollTo(0, top);
    if (before !== null && focused instanceof HTMLElement) focused.focus({ preventScroll: true });
    const note = (): void => {
      listRef.current = { ...listRef.current, top: window.scrollY };
    };
    const noteFocus = ({ target }: Event): void => {
      if (target instanceof Element) listRef.current = { ...listRef.current, focused: target };
    };
    window.addEventListener('scroll', note, { passive: true });
    document.addEventListener('focusin', noteFocus);
    return () => {
      window.removeEventListener('scroll', note);
      document.removeEventListener('focusin', noteFocus);
    };
  }, [session]);
  return mainRef;
}
