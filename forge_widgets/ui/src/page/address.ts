// Which session the page's address names, `?session=ID`, and the steps through the browser's history. Called by the page.

/** Call `listener` when the address has changed; the function returned ends that. */
export function followAddress(listener: () => void): () => void {
  window.addEventListener('popstate', listener);
  return () => {
    window.removeEventListener('popstate', listener);
  };
}

/** Return the id of the session that the address names; null where it names none. */
export function namedSession(): string | null {
  return new URL(location.href).searchParams.get('session');
}

/** Lead to a session. */
export function openSession(sessionId: string): void {
  go(sessionId, { listed: namedSession() === null });
}

/** Lead to the list: back where one came from it, so that "back" leads out of the page then, and on where not. */
export function leaveSession(): void {
  if (cameFromList()) history.back();
  else go(null, null);
}

/** Say whether the list is the step before this one. */
function cameFromList(): boolean {
  const state: unknown = history.state;
  return typeof state === 'object' && state !== null && 'listed' in state && state.listed === true;
}

function go(sessionId: string | null, state: { readonly listed: boolean } | null): void {
  const url = new URL(location.href);
  if (sessionId === null) url.searchParams.delete('session');
  else url.searchParams.set('session', sessionId);
  history.pushState(state, '', url);
  window.dispatchEvent(new PopStateEvent('popstate'));
}
