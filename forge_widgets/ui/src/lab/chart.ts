// The chart of one metric in an output of the lab, straight from the server. Called by the renderer, which owns the stream.
import type { ISessionContext } from '@jupyterlab/apputils';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { Shown } from '../components/figure';
import { MetricChart } from '../components/metricchart';
import { loadPlotly, plotlyOfServer } from '../components/plotly';
import type { OpenLens } from '../components/uselens';
import type { SessionSource } from '../components/usesession';
import type { ServerAccess } from '../stream';
import { chartTraits } from './traits';

type KernelSays = ISessionContext['iopubMessage'];

export interface LiveChartOptions {
  readonly stream: SessionSource;
  readonly openLens: OpenLens;
  readonly shown: Shown;
  /** The kernel's widget that made the output; "" for none. */
  readonly widgetId: string;
  readonly server: ServerAccess;
  /** Finds what the kernel of the chart's notebook says, once it stands in one. */
  readonly kernelSays: () => KernelSays | null;
}

/** Shows a metric without the kernel; where there is one, it does what `chart.metric = …` asks there. */
export class LiveChart extends Widget {
  readonly #options: LiveChartOptions;
  readonly #chart: MetricChart;
  #shown: Shown;
  #says: KernelSays | null = null;

  constructor(options: LiveChartOptions) {
    super();
    const { stream, openLens, shown, server } = options;
    const sources = [plotlyOfServer(server)];
    this.#options = options;
    this.#shown = shown;
    this.#chart = new MetricChart(this.node, { stream, openLens, shown, plotly: (gone) => loadPlotly(sources, gone) });
  }

  override dispose(): void {
    if (this.isDisposed) return;
    this.#says?.disconnect(this.#hear);
    this.#chart.end();
    super.dispose();
  }

  /** Scrolled out of sight it is detached, and goes on listening. */
  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    const says = this.#options.kernelSays();
    if (says === this.#says) return;
    this.#says?.disconnect(this.#hear);
    this.#says = says;
    says?.connect(this.#hear);
  }

  readonly #hear: Parameters<KernelSays['connect']>[0] = (_, message) => {
    const traits = chartTraits(message, this.#options.widgetId);
    if (traits === null) return;
    this.#shown = { ...this.#shown, ...traits };
    this.#chart.show(this.#shown);
  };
}
