// The anywidget of a chart. plotly.js comes from the server of the page where there is one, else from the kernel.
import type { AnyModel, Render } from '@anywidget/types';

import { jupyterPlace, serverAccess } from '../components/access';
import type { Shown } from '../components/figure';
import { lensOn } from '../components/lens';
import { MetricChart } from '../components/metricchart';
import { loadPlotly, plotlyOfServer } from '../components/plotly';
import { adoptStyles } from '../components/styles';
import type { SessionStream } from '../stream';
import css from '../../style/forge.css';
import plotlyCss from '../../style/plotly.css';
import { followSession, type SessionTraits } from './model';
import { plotlyOfKernel } from './plotly';

interface ChartTraits extends SessionTraits {
  readonly metric: string;
  readonly log_y: boolean;
}

const render: Render<ChartTraits> = ({ model, el }) => {
  adoptStyles(el, css, 'forge-widgets-style');
  adoptStyles(el, plotlyCss, 'forge-widgets-plotly-style');
  return followSession(model, (stream) => showChart(model, el, stream));
};

function showChart(model: AnyModel<ChartTraits>, el: HTMLElement, stream: SessionStream): () => void {
  const place = jupyterPlace(document);
  const sources = [...(place === null ? [] : [plotlyOfServer(serverAccess(place))]), plotlyOfKernel(model)];
  const plotly = (gone: AbortSignal): ReturnType<typeof loadPlotly> => loadPlotly(sources, gone);
  const openLens = place === null ? null : lensOn(stream, serverAccess(place));
  const chart = new MetricChart(el, { stream, openLens, plotly, shown: shownBy(model) });
  const show = (): void => {
    chart.show(shownBy(model));
  };
  model.on('change:metric', show);
  model.on('change:log_y', show);
  return () => {
    model.off('change:metric', show);
    model.off('change:log_y', show);
    chart.end();
  };
}

function shownBy(model: AnyModel<ChartTraits>): Shown {
  return { metric: model.get('metric'), logY: model.get('log_y') };
}

export default { render };
