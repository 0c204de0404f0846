// The dashboard of one session: the same in a cell, a tab and on the stand-alone page. Follows a stream that its host
// owns, starts and closes; lays itself out by its own width.
import { useEffect, useMemo, useState, type JSX } from 'react';

import { formatCount, metricValue, type SessionView, type StepRange } from '../stream';
import { CurveChart } from './CurveChart';
import { curveNames } from './metricwords';
import { ErrorNotice, Notice } from './Notice';
import { Models, Progress } from './Progress';
import { StatusMark } from './StatusMark';
import { statusWords, type StatusWords } from './statuswords';
import { Tiles } from './Tiles';
import { useLens, type OpenLens } from './uselens';
import { useNow, useSession, useVisible, type SessionSource } from './usesession';
import { clockWords, linkWords, placeWords, sentence } from './words';
import { followed, sought, zoomOf, type Zoom } from './zoom';

/** Rows from which on curves may have left something out: what a stream keeps of a line (stream/series.ts). */
const KEPT_WHOLE = 400;

export interface DashboardProps {
  readonly stream: SessionSource;
  /** Looks closer at long curves; null where no server can be asked. The same one until the stream is another. */
  readonly openLens?: OpenLens | null;
}

/** Show a session as it is, and as it goes on while it can be seen. */
export function Dashboard({ stream, openLens = null }: DashboardProps): JSX.Element {
  const [ref, visible] = useVisible();
  const view = useSession(stream, visible);
  const over = view.state.status === 'completed' || view.state.status === 'error' || view.deleted;
  const now = useNow(visible && !over);
  const words = statusWords(view, now / 1000);
  return (
    <div className="forge-root" ref={ref}>
      <article className="forge-dashboard" aria-label={`Training session ${view.sessionId}`}>
        <Header view={view} words={words} />
        <Notices view={view} words={words} />
        {view.state.status === 'waiting' ? <p>{sentence(words.detail)}</p> : <Recorded view={view} words={words} openLens={openLens} visible={visible} />}
        <p className="forge-hidden" role="status">
          {spoken(view, words)}
        </p>
      </article>
    </div>
  );
}

interface PartProps {
  readonly view: SessionView;
  readonly words: StatusWords;
}

function Header({ view, words }: PartProps): JSX.Element {
  const { label, explanation } = linkWords(view.link);
  const offline = view.link.offlineSince !== null;
  return (
    <header className="forge-header">
      <span className="forge-status">
        <StatusMark kind={words.kind} />
        {words.word}
      </span>
      <span className="forge-session-id" title={view.sessionId}>
        {view.sessionId}
      </span>
      <span className="forge-place">
        {placeWords(view.state)}
        {(words.kind === 'slow' || words.kind === 'stalled') && <span className="forge-detail"> · {words.detail}</span>}
      </span>
      <span className={offline ? 'forge-badge forge-badge-offline' : 'forge-badge'} title={explanation}>
        {label}
        <span className="forge-hidden">. {explanation}</span>
      </span>
      {view.link.transport !== null && view.link.reason !== '' && (
        // Whoever can hear the badge has heard it.
        <span className="forge-why" aria-hidden="true" title={explanation}>
          {view.link.reason}
        </span>
      )}
    </header>
  );
}

function Notices({ view, words }: PartProps): JSX.Element {
  const { state, link } = view;
  return (
    <>
      {state.error !== '' && <ErrorNotice error={state.error} />}
      {words.kind === 'lost' && (
        <Notice tone="error">
          <strong>Connection to the training lost.</strong> It went without a word at {clockWords(state.updatedAt * 1000)};
          what it recorded until then is here.{view.unsaved === 0 && ' Run it again, or resume it from a checkpoint.'}
        </Notice>
      )}
      {view.deleted && <Notice tone="warn">This session was deleted; nothing more will come.</Notice>}
      {link.offlineSince !== null && !view.deleted && (
        <Notice tone="warn">
          <strong>Offline since {clockWords(link.offlineSince)},</strong> showing what is known. {sentence(link.reason)}
        </Notice>
      )}
      {view.unsaved > 0 && (
        <Notice tone="warn">
          <strong>{formatCount(view.unsaved)} steps and events are not saved yet.</strong> {sentence(view.unsavedReason)}
          {words.kind !== 'lost' && ' Training goes on; they are kept and tried again.'}
        </Notice>
      )}
      {view.gap && view.trimmed === 0 && (
        <Notice tone="plain">Some steps are shown thinned: the recording no longer reached back to where this view was.</Notice>
      )}
      {view.trimmed > 0 && (
        <Notice tone="plain">
          {formatCount(view.trimmed)} earlier steps were trimmed from the recording: the curves begin after them.
        </Notice>
      )}
      {state.thinned > 0 && (
        <Notice tone="plain">
          {formatCount(state.thinned)} steps came faster than they could be recorded and were left out.
        </Notice>
      )}
    </>
  );
}

type RecordedProps = PartProps & CurvesProps;

function Recorded({ view, words, openLens, visible }: RecordedProps): JSX.Element {
  return (
    <>
      <Progress state={view.state} kind={words.kind} />
      <Models state={view.state} />
      <Tiles view={view} />
      <Curves view={view} openLens={openLens} visible={visible} />
    </>
  );
}

interface CurvesProps {
  readonly view: SessionView;
  readonly openLens: OpenLens | null;
  readonly visible: boolean;
}

function Curves({ view, openLens, visible }: CurvesProps): JSX.Element {
  const [chosen, setChosen] = useState('loss');
  const { series, state, version } = view;
  const choices = curveNames(new Set([...series.metrics(), chosen]));
  const metric = series.metrics().length > 0 && !series.metrics().includes(chosen) ? (choices[0] ?? chosen) : chosen;
  const [zoom, range, onRange] = useZoom(metricValue(state, 'currentStep'));
  const { lens, answers } = useLens(state.rows > KEPT_WHOLE ? openLens : null);
  useEffect(() => {
    if (visible) lens?.look(metric, range);
    else lens?.rest();
  });
  // The series is one object that grows, and so is the lens: version and answers say that they did.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const curves = useMemo(() => lens?.lines(metric, range) ?? series.points(metric), [lens, answers, range, series, metric, version]);
  const total = state.metrics.has('totalSteps') ? metricValue(state, 'totalSteps') : 0;
  return (
    <CurveChart
      metric={metric}
      choices={choices}
      onMetric={setChosen}
      curves={curves}
      totalSteps={total}
      range={zoom}
      onRange={onRange}
    />
  );
}

type ZoomState = readonly [zoom: Zoom | null, range: StepRange | undefined, onRange: (range: StepRange | null) => void];

/** What the chart is zoomed to, what is to be looked at closely for it, and how to choose other steps. */
function useZoom(newest: number): ZoomState {
  const [zoom, setZoom] = useState<Zoom | null>(null);
  const moved = followed(zoom, newest);
  if (moved !== zoom) setZoom(moved);
  const range = useMemo(() => moved === null ? undefined : sought(moved), [moved]);
  const onRange = (chosen: StepRange | null): void => {
    setZoom(zoomOf(chosen, newest));
  };
  return [moved, range, onRange];
}

/** What the live region says: changes of state, never steps. */
function spoken(view: SessionView, words: StatusWords): string {
  const model = view.state.models.findLast(({ completed }) => completed);
  const done = model === undefined || words.kind !== 'running' ? '' : ` Model ${model.number} is completed.`;
  const link = view.link.offlineSince === null ? '' : ' Offline, showing what is known.';
  return `${view.sessionId}: ${words.word}.${done}${link}`;
}

