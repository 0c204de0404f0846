// The chart of one metric of a session, drawn with Plotly as the training goes on: in an anywidget and in an output of
// the lab alike. Follows a stream that its host owns; the lens on it, which asks for what was zoomed to, is its own.
import type { Layout, PlotlyHTMLElement, PlotRelayoutEvent } from 'plotly.js';

import { figureOf, themeOf, totalOf, type Shown } from './figure';
import type { Plotly } from './plotly';
import type { OpenLens } from './uselens';
import type { SessionSource } from './usesession';
import { linkWords, sentence } from './words';
import { followed, sought, stepsOf, zoomedTo, zoomOf, type Zoom } from './zoom';
import { ALL_STEPS, formatCount, metricValue, type Lens, type LinePoints, type StepRange } from '../stream';

export interface MetricChartOptions {
  readonly stream: SessionSource;
  /** Looks closer at long curves; null where no server can be asked. */
  readonly openLens?: OpenLens | null;
  /** What is shown at first; `show` changes it. */
  readonly shown: Shown;
  /** Gets plotly.js; rejects where it can't be had. `gone` says that nobody waits for it any more. */
  readonly plotly: (gone: AbortSignal) => Promise<Plotly>;
}

/** Drawing takes Plotly some 10 ms: five times a second looks live and leaves the page its time. */
const DRAW_EVERY_MS = 200;

/** Rows from which on curves may have left something out: what a stream keeps of a line (stream/series.ts). */
const KEPT_WHOLE = 400;

/** One chart in one element. Owns its timer, observers and listeners; `end` takes them all away. */
export class MetricChart {
  readonly #options: MetricChartOptions;
  readonly #root = document.createElement('div');
  readonly #plot = document.createElement('div');
  readonly #words = document.createElement('p');
  readonly #ends: (() => void)[] = [];
  readonly #gone = new AbortController();
  #shown: Shown;
  #plotly: Plotly | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #visible = true;
  #zoom: Zoom | null = null;
  #lens: Lens | null = null;
  #lensAsked = false;
  #heeded = false;
  // Whether the stream was connected when it last told of itself, and whether plotly.js is being got.
  #connected = false;
  #getting = false;

  constructor(host: HTMLElement, options: MetricChartOptions) {
    this.#options = options;
    this.#shown = options.shown;
    this.#root.className = 'forge-root forge-plotly';
    this.#plot.className = 'forge-plotly-plot';
    this.#words.className = 'forge-muted';
    this.#words.textContent = 'Loading the chart…';
    this.#root.append(this.#words, this.#plot);
    host.append(this.#root);
    this.#listen();
    void this.#get();
  }

  /** Show another metric, or the same on another scale. */
  show(shown: Shown): void {
    this.#shown = shown;
    // Another axis begins with all of it: see the figure's uirevision.
    this.#zoom = null;
    this.#drawSoon();
  }

  /** Take the chart away. */
  end(): void {
    this.#gone.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const end of this.#ends) end();
    this.#plotly?.purge(this.#plot);
    this.#lens?.close();
    this.#root.remove();
  }

  #listen(): void {
    this.#ends.push(this.#options.stream.subscribe(() => { this.#follow(); }));
    const themes = new MutationObserver(() => { this.#drawSoon(); });
    themes.observe(document.body, { attributes: true, attributeFilter: ['class', 'data-jp-theme-name'] });
    this.#ends.push(() => { themes.disconnect(); });
    // Panels beside a notebook come and go, which the window is not told of.
    const room = new ResizeObserver(() => { this.#drawSoon(); });
    room.observe(this.#root);
    this.#ends.push(() => { room.disconnect(); });
    if (typeof IntersectionObserver === 'undefined') return;
    const sight = new IntersectionObserver((entries) => {
      this.#visible = entries.at(-1)?.isIntersecting ?? true;
      if (!this.#visible) this.#lens?.rest();
      this.#drawSoon();
    });
    sight.observe(this.#root);
    this.#ends.push(() => { sight.disconnect(); });
  }

  #follow(): void {
    const connected = this.#options.stream.view.link.transport !== null;
    const back = connected && !this.#connected;
    this.#connected = connected;
    if (back && this.#plotly === null && !this.#getting) void this.#get();
    this.#drawSoon();
  }

  async #get(): Promise<void> {
    this.#getting = true;
    try {
      const plotly = await this.#options.plotly(this.#gone.signal);
      if (this.#gone.signal.aborted) return;
      this.#plotly = plotly;
      this.#drawSoon();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#getting = false;
    }
  }

  #drawSoon(): void {
    if (this.#timer !== null || this.#plotly === null || !this.#visible) return;
    const plotly = this.#plotly;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#draw(plotly).catch((error: unknown) => { this.#fail(error); });
    }, DRAW_EVERY_MS);
  }

  async #draw(plotly: Plotly): Promise<void> {
    const { view } = this.#options.stream;
    const { label, explanation } = linkWords(view.link);
    const before = this.#zoom;
    this.#zoom = followed(before, metricValue(view.state, 'currentStep'));
    this.#words.replaceChildren(`${view.sessionId} · ${view.state.status} · ${label}`, ...this.#zoomed(plotly));
    this.#words.title = explanation;
    this.#plot.setAttribute('role', 'img');
    this.#plot.setAttribute('aria-label', `${this.#shown.metric} of ${view.sessionId} by step`);
    const { data, layout, config } = figureOf(view, this.#shown, themeOf(this.#root), this.#look());
    // Plotly measures its room only when it is told to; 0 is where nothing is laid out.
    const width = this.#plot.clientWidth;
    const drawn = await plotly.react(this.#plot, data, width > 0 ? { ...layout, width } : layout, config);
    this.#heed(drawn);
    if (this.#zoom !== null && this.#zoom !== before) await plotly.relayout(this.#plot, { 'xaxis.range': [this.#zoom.from, this.#zoom.to] });
  }

  /** Return the curves as finely as they are known, and have what is missing asked for. */
  #look(): readonly LinePoints[] {
    const { stream, openLens = null } = this.#options;
    const range = this.#zoom === null ? undefined : sought(this.#zoom);
    if (this.#lens === null) {
      if (!this.#lensAsked && openLens !== null && stream.view.state.rows > KEPT_WHOLE) void this.#open(openLens);
      return stream.view.series.points(this.#shown.metric);
    }
    this.#lens.look(this.#shown.metric, range);
    return this.#lens.lines(this.#shown.metric, range);
  }

  async #open(openLens: OpenLens): Promise<void> {
    this.#lensAsked = true;
    const lens = await openLens().catch(() => null);
    if (this.#gone.signal.aborted) lens?.close();
    else if (lens !== null) {
      this.#lens = lens;
      lens.onFiner = () => { this.#drawSoon(); };
      this.#drawSoon();
    }
  }

  /** Follow what people zoom to; a plot that was heard once stays so. */
  #heed(plot: PlotlyHTMLElement): void {
    if (this.#heeded) return;
    this.#heeded = true;
    plot.on('plotly_relayout', (event) => {
      const chosen = chosenSteps(event);
      if (chosen === null) return;
      const newest = metricValue(this.#options.stream.view.state, 'currentStep');
      this.#zoom = zoomOf(zoomedTo(chosen.from, chosen.to, this.#all()), newest);
      this.#drawSoon();
    });
  }

  #all(): StepRange {
    const { series, state } = this.#options.stream.view;
    return stepsOf(series.points(this.#shown.metric), totalOf(state));
  }

  /** That this is not all, and the way back. */
  #zoomed(plotly: Plotly): readonly (Node | string)[] {
    if (this.#zoom === null) return [];
    const back = document.createElement('button');
    back.type = 'button';
    back.className = 'forge-link';
    back.textContent = 'show all';
    back.title = 'Show all steps (or double-click the chart)';
    back.addEventListener('click', () => {
      const total = totalOf(this.#options.stream.view.state);
      // An axis that ends where nobody knows has to go on growing.
      const x: Partial<Layout> = total > 0 ? { 'xaxis.range': [0, total] } : { 'xaxis.autorange': true };
      void plotly.relayout(this.#plot, { ...x, 'yaxis.autorange': true });
    });
    return [` · steps ${formatCount(this.#zoom.from)}–${formatCount(this.#zoom.to)} · `, back];
  }

  #fail(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#words.textContent = `The chart can’t be drawn: ${sentence(reason)} The training goes on.`;
  }
}

/** Return the steps that a change of the plot's axes leads to; null where it changed something else. */
function chosenSteps(event: PlotRelayoutEvent): StepRange | null {
  if (event['xaxis.autorange'] === true) return ALL_STEPS;
  const [from, to] = event['xaxis.range'] ?? [event['xaxis.range[0]'], event['xaxis.range[1]']];
  return typeof from === 'number' && typeof to === 'number' ? { from, to } : null;
}
