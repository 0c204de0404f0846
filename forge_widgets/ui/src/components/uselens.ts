// Lets a chart look closer than its stream does. What a lens is made of comes from the host: it may have to be fetched, and
// where no server is known there is none. Called by the dashboard.
import { useEffect, useState } from 'react';

import type { Lens } from '../stream';

/** Makes a lens on the stream that a host shows. */
export type OpenLens = () => Promise<Lens>;

/** A lens once it is there, and a count that goes up with each answer. */
export interface OpenedLens {
  readonly lens: Lens | null;
  readonly answers: number;
}

/** Open a lens, and close it at the end; null opens none. One that can't be had is done without. */
export function useLens(open: OpenLens | null): OpenedLens {
  const [opened, setOpened] = useState<OpenedLens>({ lens: null, answers: 0 });
  useEffect(() => {
    if (open === null) return undefined;
    let ended = false;
    let lens: Lens | null = null;
    open().then(
      (made) => {
        if (ended) {
          made.close();
          return;
        }
        lens = made;
        lens.onFiner = () => {
          setOpened(({ answers }) => ({ lens, answers: answers + 1 }));
        };
        setOpened({ lens, answers: 0 });
      },
      () => undefined,
    );
    return () => {
      ended = true;
      lens?.close();
      setOpened({ lens: null, answers: 0 });
    };
  }, [open]);
  return opened;
}
