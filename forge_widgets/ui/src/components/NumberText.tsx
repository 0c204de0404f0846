// Shows one recorded number in tabular numerals, with the exact value as its tooltip. Called by tiles and rows.
import type { JSX } from 'react';

import { formatNumber } from '../stream/numbers';

/** Show `value` rounded for reading; the tooltip holds it in full. */
export function NumberText({ value }: { readonly value: number }): JSX.Element {
  return (
    <span className="fw-number" title={String(value)}>
      {formatNumber(value)}
    </span>
  );
}
