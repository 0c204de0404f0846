// The chart of one metric of a session, drawn with Plotly as the training goes on: in an anywidget and in an output of
// the lab alike. Follows a stream that its host owns; must never ask for data itself.
import { figureOf, themeOf, type Shown } from './figure';
import type { Plotly } from './plotly';
import type { SessionSource } from './usesession';
import { linkWords, sentence } from './words';

export interface MetricChartOptions {
  readonly stream: SessionSource;
  /** What is shown at first; `show` changes it. */
  readonly shown: Shown;
  /** Gets plotly.js; rejects where it can't be had. `gone` says that nobody waits for it any more. */
  readonly plotly: (gone: AbortSignal) => Promise<Plotly>;
}

/** Drawing takes Plotly some 10 ms: five times a second looks live and leaves the page its time. */
const DRAW_EVERY_MS = 200;

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
    this.#drawSoon();
  }

  /** Take the chart away. */
  end(): void {
    this.#gone.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const end of this.#ends) end();
    this.#plotly?.purge(this.#plot);
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
    this.#words.textContent = `${view.sessionId} · ${view.state.status} · ${label}`;
    this.#words.title = explanation;
    this.#plot.setAttribute('role', 'img');
    this.#plot.setAttribute('aria-label', `${this.#shown.metric} of ${view.sessionId} by step`);
    const { data, layout, config } = figureOf(view, this.#shown, themeOf(this.#root));
    // Plotly measures its room only when it is told to; 0 is where nothing is laid out.
    const width = this.#plot.clientWidth;
    await plotly.react(this.#plot, data, width > 0 ? { ...layout, width } : layout, config);
  }

  #fail(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#words.textContent = `The chart can’t be drawn: ${sentence(reason)} The training goes on.`;
  }
}
