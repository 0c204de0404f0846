// The icon of training sessions, in the colours of the theme.
import { LabIcon } from '@jupyterlab/ui-components';

const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">
<path class="jp-icon3" fill="#616161" d="M2 1.5h1.5v11H14.5V14H2z"/>
<path class="jp-icon3" fill="#616161" d="M5 2.2l1.4-.4c.8 4.6 2.2 6.8 8.1 7.3l-.1 1.5C7.6 10 5.9 7.200 5 2.200z"/>
</svg>`;

/** A falling curve over its axes. */
export const sessionsIcon = new LabIcon({ name: 'forge-widgets:sessions', svgstr: SVG });
