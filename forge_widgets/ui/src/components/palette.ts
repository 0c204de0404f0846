// The place of a model in the colour-blind-safe palette, the same in every view. The colours themselves, one set for
// light and one for dark, are in style/forge.css.
import type { CSSProperties } from 'react';

/** Colours in the palette; from there on they come again, with dashes. */
export const PALETTE_SIZE = 7;

const DASHES: readonly (string | undefined)[] = [undefined, '6 3', '2 3', '8 3 2 3'];

/** Return the style that gives a model (from 1) its colour. */
export function modelColour(model: number): CSSProperties {
  return { '--forge-colour': `var(--forge-model-${place(model) % PALETTE_SIZE})` } as CSSProperties;
}

/** Return the dashes that tell a model from another of the same colour. */
export function modelDashes(model: number): string | undefined {
  return DASHES[Math.floor(place(model) / PALETTE_SIZE) % DASHES.length];
}

function place(model: number): number {
  return Math.max(0, Math.floor(model) - 1);
}
