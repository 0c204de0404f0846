// Which versions of docs/PROTOCOL.md are spoken here. Pure; called by the adapters, which offer them, and by the stream,
// which is told what was agreed on.

const SPOKEN: readonly number[] = [1];

export const NEWEST = Math.max(...SPOKEN);

/** What a server is asked for: it takes the newest that it knows. */
export const OFFER = SPOKEN.join(',');

export function isSpoken(version: number): boolean {
  return SPOKEN.includes(version);
}
