// What the page can be seen on: whether it is shown at all, and whether list and session have room beside each other.
// Called by the page.

/** From this width on both stand beside each other; page.css has the same number. */
const WIDE = '(min-width: 720px)';

/** Call `listener` when the page is shown or hidden, or its width has crossed the limit; the function returned ends that. */
export function followPage(listener: () => void): () => void {
  const width = matchMedia(WIDE);
  width.addEventListener('change', listener);
  document.addEventListener('visibilitychange', listener);
  return () => {
    width.removeEventListener('change', listener);
    document.removeEventListener('visibilitychange', listener);
  };
}

/** Say whether somebody may be looking. */
export function isPageShown(): boolean {
  return !document.hidden;
}

/** Say whether list and session stand beside each other. */
export function isWide(): boolean {
  return matchMedia(WIDE).matches;
}
