// The anywidget of a chart: follows a session and draws one metric with Plotly, a line for each model. plotly.js comes
// from where plotly.ts finds it; it is never bundled.
import type { AnyModel, Render } from '@anywidget/types';

import { jupyterPlace, serverAccess } from '../components/access';
import { adoptStyles } from '../components/mount';
import { linkWords, sentence } from '../components/words';
import type { SessionStream } from '../stream';
import css from '../../style/forge.css';
import plotlyCss from '../../style/plotly.css';
import { figureOf, themeOf } from './figure';
import { followSession, type SessionTraits } from './model';
import { loadPlotly, type Plotly, type PlotlyChannel } from './plotly';

interface ChartTraits extends SessionTraits {
  readonly metric: string;
  readonly log_y: boolean;
}

/** Drawing takes Plotly some 10 ms: five times a second looks live and leaves the page its time. */
const DRAW_EVERY_MS = 200;

const render: Render<ChartTraits> = ({ model, el }) => {
  adoptStyles(el, css, 'forge-widgets-style');
  adoptStyles(el, plotlyCss, 'forge-widgets-plotly-style');
  return followSession(model, (stream) => new Chart(model, el, stream).end);
};

/** One chart of one session in one element. Owns its timer, observers and listeners; `end` takes them all away. */
class Chart {
  readonly #model: AnyModel<ChartTraits>;
  readonly #stream: SessionStream;
  readonly #root = document.createElement('div');
  readonly #plot = document.createElement('div');
  readonly #words = document.createElement('p');
  readonly #ends: (() => void)[] = [];
  readonly #gone = new AbortController();
  #plotly: Plotly | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #visible = true;
  #over = false;

  constructor(model: AnyModel<ChartTraits>, host: HTMLElement, stream: SessionStream) {
    this.#model = model;
    this.#stream = stream;
    this.#root.className = 'forge-root forge-plotly';
    this.#plot.className = 'forge-plotly-plot';
    this.#words.className = 'forge-muted';
    this.#words.textContent = 'Loading the chart…';
    this.#root.append(this.#words, this.#plot);
    host.append(this.#root);
    this.#listen();
    void this.#begin();
  }

  /** Take the chart away. */
  readonly end = (): void => {
    this.#over = true;
    this.#gone.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const end of this.#ends) end();
    this.#plotly?.purge(this.#plot);
    this.#root.remove();
  };

  #listen(): void {
    const draw = (): void => {
      this.#drawSoon();
    };
    this.#ends.push(this.#stream.subscribe(draw));
    for (const trait of ['change:metric', 'change:log_y'] as const) {
      this.#model.on(trait, draw);
      this.#ends.push(() => {
        this.#model.off(trait, draw);
      });
    }
    const themes = new MutationObserver(draw);
    themes.observe(document.body, { attributes: true, attributeFilter: ['class', 'data-jp-theme-name'] });
    this.#ends.push(() => {
      themes.disconnect();
    });
    if (typeof IntersectionObserver === 'undefined') return;
    const sight = new IntersectionObserver((entries) => {
      this.#visible = entries.at(-1)?.isIntersecting ?? true;
      draw();
    });
    sight.observe(this.#root);
    this.#ends.push(() => {
      sight.disconnect();
    });
  }

  async #begin(): Promise<void> {
    const place = jupyterPlace(document);
    const server = place === null ? null : serverAccess(place);
    try {
      const plotly = await loadPlotly({ server, comm: channelOf(this.#model), gone: this.#gone.signal });
      if (this.#over) return;
      this.#plotly = plotly;
      this.#drawSoon();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#words.textContent = `The chart can’t be drawn: ${sentence(reason)} The training goes on.`;
    }
  }

  #drawSoon(): void {
    if (this.#timer !== null || this.#plotly === null || !this.#visible || this.#over) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#draw();
    }, DRAW_EVERY_MS);
  }

  async #draw(): Promise<void> {
    if (this.#plotly === null || this.#over) return;
    const { view } = this.#stream;
    const metric = this.#model.get('metric');
    const { label, explanation } = linkWords(view.link);
    this.#words.textContent = `${view.sessionId} · ${view.state.status} · ${label}`;
    this.#words.title = explanation;
    this.#plot.setAttribute('role', 'img');
    this.#plot.setAttribute('aria-label', `${metric} of ${view.sessionId} by step`);
    const { data, layout, config } = figureOf(view, metric, this.#model.get('log_y'), themeOf(this.#root));
    await this.#plotly.react(this.#plot, data, layout, config);
  }
}

function channelOf(model: AnyModel<ChartTraits>): PlotlyChannel {
  return {
    send(message) {
      model.send(message);
    },
    listen(listener) {
      const heard = (message: unknown, buffers: readonly DataView[]): void => {
        listener(message, buffers);
      };
      model.on('msg:custom', heard);
      return () => {
        model.off('msg:custom', heard);
      };
    },
  };
}

export default { render };
