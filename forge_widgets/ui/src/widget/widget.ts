// The anywidget of a session: one ESM whose `render` returns its own clean-up. Loaded by the notebook front end from
// the widget's `_esm`; must stay under 80,000 bytes and hold no series.
import type { Render } from '@anywidget/types';
import { createElement } from 'react';

import { Dashboard } from '../components/Dashboard';
import { mount } from '../components/mount';
import { adoptStyles } from '../components/styles';
import chartCss from '../../style/chart.css';
import css from '../../style/forge.css';
import { fetchedLens } from './lens';
import { followSession, type SessionTraits } from './model';

const render: Render<SessionTraits> = ({ model, el }) => {
  adoptStyles(el, css, 'forge-widgets-style');
  adoptStyles(el, chartCss, 'forge-widgets-chart-style');
  return followSession(model, (stream) => mount(el, createElement(Dashboard, { stream, openLens: fetchedLens(stream) })));
};

export default { render };
