// When a page comes back to life: shown again, online again, out of the back-forward cache. Works without a page, too
// (no window, no events). Called by the session stream.

/** Say whether there is a page, and nobody sees it. */
export function isPageHidden(): boolean {
  return typeof document !== 'undefined' && document.hidden;
}

/** Call back when the page wakes up; the function returned ends that. */
export function onPageWakes(callback: () => void): () => void {
  if (typeof window === 'undefined') return () => undefined;
  const onVisibility = (): void => {
    if (!isPageHidden()) callback();
  };
  window.addEventListener('online', callback);
  window.addEventListener('pageshow', callback);
  document.addEventListener('visibilitychange', onVisibility);
  return () => {
    window.removeEventListener('online', callback);
    window.removeEventListener('pageshow', callback);
    document.removeEventListener('visibilitychange', onVisibility);
  };
}
