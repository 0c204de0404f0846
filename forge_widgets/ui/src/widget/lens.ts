// The lens of the dashboard's anywidget, which has no room for it in its own script: fetched from the server that is asked
// by it anyway, once a session is longer than its curves. Called by the anywidget.
import { jupyterPlace, serverAccess } from '../components/access';
import type { OpenLens } from '../components/uselens';
import type { LensSource } from '../stream';

/** Its number goes up when the lens needs something else of a stream: kernel and server may be of different versions. */
const PATH = 'static/lens-1.js';

type LensModule = typeof import('../stream/lens');

/** Return what opens a lens on a stream; null where no server is known. */
export function fetchedLens(stream: LensSource): OpenLens | null {
  const place = jupyterPlace(document);
  if (place === null) return null;
  const server = serverAccess(place);
  return async () => {
    const response = await server.request(PATH, { cache: 'default' });
    if (!response.ok) throw new Error(`no lens is served (${response.status})`);
    const url = URL.createObjectURL(new Blob([await response.text()], { type: 'text/javascript' }));
    try {
      const { Lens } = (await import(/* webpackIgnore: true */ /* @vite-ignore */ url)) as LensModule;
      return new Lens(stream, server);
    } finally {
      URL.revokeObjectURL(url);
    }
  };
}
