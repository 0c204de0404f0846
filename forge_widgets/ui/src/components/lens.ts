// The lens for hosts that have it in their own script: the page, the lab and the chart's anywidget. The dashboard's anywidget
// fetches it (widget/lens.ts), so nothing that it is made of may import this.
import { Lens, type LensSource, type ServerAccess } from '../stream';
import type { OpenLens } from './uselens';

/** Return what opens a lens on a stream. */
export function lensOn(stream: LensSource, server: ServerAccess): OpenLens {
  return () => Promise.resolve(new Lens(stream, server));
}
