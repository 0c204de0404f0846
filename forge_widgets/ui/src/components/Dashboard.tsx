// The dashboard of one session: the same in a cell, a tab and on the stand-alone page. Follows a stream that its host
// owns, starts and closes; lays itself out by its own width.
import { useMemo, useState, type JSX } from 'react';

import { formatCount, metricValue, type SessionView } from '../stream';
import { CurveChart } from './CurveChart';
import { curveNames } from './metricwords';
import { ErrorNotice, Notice } from './Notice';
import { Models, Progress } from './Progress';
import { StatusMark } from './StatusMark';
import { statusWords, type StatusWords } from './statuswords';
import { Tiles } from './Tiles';
import { useNow, useSession, useVisible, type SessionSource } from './usesession';
import { clockWords, linkWords, placeWords, sentence } from './words';

/** Show a session as it is, and as it goes on while it can be seen. */
export function Dashboard({ stream }: { readonly stream: SessionSource }): JSX.Element {
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
        {view.state.status === 'waiting' ? <p>{sentence(words.detail)}</p> : <Recorded view={view} words={words} />}
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

function Recorded({ view, words }: PartProps): JSX.Element {
  return (
    <>
      <Progress state={view.state} kind={words.kind} />
      <Models state={view.state} />
      <Tiles view={view} />
      <Curves view={view} />
    </>
  );
}

function Curves({ view }: { readonly view: SessionView }): JSX.Element {
  const [chosen, setChosen] = useState('loss');
  const { series, state, version } = view;
  const choices = curveNames(new Set([...series.metrics(), chosen]));
  const metric = series.metrics().length > 0 && !series.metrics().includes(chosen) ? (choices[0] ?? chosen) : chosen;
  // The series is one object that grows: the version says that it did.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const curves = useMemo(() => series.points(metric), [series, metric, version]);
  const total = state.metrics.has('totalSteps') ? metricValue(state, 'totalSteps') : 0;
  return <CurveChart metric={metric} choices={choices} onMetric={setChosen} curves={curves} totalSteps={total} />;
}

/** What the live region says: changes of state, never steps. */
function spoken(view: SessionView, words: StatusWords): string {
  const model = view.state.models.findLast(({ completed }) => completed);
  const done = model === undefined || words.kind !== 'running' ? '' : ` Model ${model.number} is completed.`;
  const link = view.link.offlineSince === null ? '' : ' Offline, showing what is known.';
  return `${view.sessionId}: ${words.word}.${done}${link}`;
}

