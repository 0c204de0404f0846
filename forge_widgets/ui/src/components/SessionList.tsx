// The list of sessions: running, recent, older. Shows what its host's poll knows and says which one was opened;
// must never ask a server itself. Called by the side panel and the stand-alone page.
import { useEffect, useRef, useState, useSyncExternalStore, type JSX } from 'react';

import { formatCount, formatDuration, formatPercent } from '../stream';
import { metricText } from './metricwords';
import { Notice } from './Notice';
import type { SessionsPoll, SessionSummary } from './sessions';
import { modelColour } from './palette';
import { SparkLine } from './SparkLine';
import { StatusMark, type MarkKind } from './StatusMark';
import { useNow, useVisible } from './usesession';
import { agoWords, clockWords, sentence } from './words';

const RECENT_S = 24 * 3600;
const COPIED_MS = 2000;

const EXAMPLE = `import forge_widgets as forge
with forge.run("my-training") as run:
    for i in range(1000):
        run.log(loss=1/(i+1))`;

export interface SessionListProps {
  readonly poll: SessionsPoll;
  readonly onOpen: (sessionId: string) => void;
  /** The session that is open beside the list. */
  readonly selected?: string | null;
  /** Runs a demo; without it there is no button. */
  readonly onDemo?: () => void;
}

/** Show the sessions of a server. */
export function SessionList({ poll, onOpen, selected = null, onDemo }: SessionListProps): JSX.Element {
  const { sessions, loaded, problem, problemSince } = useSyncExternalStore(poll.subscribe, poll.view);
  const [ref, visible] = useVisible();
  const now = useNow(visible) / 1000;
  const groups = grouped(sessions, now);
  return (
    <nav className="forge-root forge-list" aria-label="Training sessions" ref={ref}>
      {problem !== '' && (
        <Notice tone="warn">
          <strong>{loaded ? `Offline since ${clockWords(problemSince)}, showing what is known.` : 'The list can’t be read.'}</strong>{' '}
          {sentence(problem)} Trying again.
        </Notice>
      )}
      {!loaded && problem === '' && <p className="forge-empty forge-muted">Looking for sessions…</p>}
      {loaded && sessions.length === 0 && <Empty onDemo={onDemo} />}
      {groups.map(({ name, rows }) => (
        <section key={name} aria-label={name}>
          <h2 className="forge-group-name">{name}</h2>
          <ul>
            {rows.map((session) => (
              <Row key={session.sessionId} session={session} now={now} onOpen={onOpen} open={session.sessionId === selected} />
            ))}
          </ul>
        </section>
      ))}
    </nav>
  );
}

interface RowProps {
  readonly session: SessionSummary;
  readonly now: number;
  readonly onOpen: (sessionId: string) => void;
  readonly open: boolean;
}

function Row({ session, now, onOpen, open }: RowProps): JSX.Element {
  const going = isGoing(session);
  const quiet = now - session.updatedAt;
  // A run that stands still has no time left that one could believe: the row says since when.
  const time = going && session.standing !== 'stalled' ? leftOf(session) : agoWords(quiet);
  return (
    <li>
      <button
        type="button"
        className="forge-row"
        aria-current={open}
        title={`${session.sessionId}, last update ${new Date(session.updatedAt * 1000).toLocaleString()}`}
        onClick={() => {
          onOpen(session.sessionId);
        }}
      >
        <StatusMark kind={kindOf(session)} />
        <span className="forge-row-name">{session.sessionId}</span>
        <span>{going && session.progress !== null ? formatPercent(session.progress) : ''}</span>
        <span className="forge-row-time">{time}</span>
        <span className="forge-row-detail">{detailOf(session)}</span>
        {session.losses.length > 1 && <SparkLine values={session.losses} style={modelColour(1)} />}
      </button>
    </li>
  );
}

function Empty({ onDemo }: { readonly onDemo: (() => void) | undefined }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  useEffect(
    () => () => {
      if (timer.current !== null) clearTimeout(timer.current);
    },
    [],
  );
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(EXAMPLE);
    setCopied(true);
    timer.current = setTimeout(() => {
      setCopied(false);
    }, COPIED_MS);
  };
  return (
    <div className="forge-empty">
      <p>No sessions yet. Four lines of Python record one:</p>
      <pre className="forge-code" tabIndex={0} aria-label="Example">
        {EXAMPLE}
      </pre>
      {/* Without a secure context there is no clipboard to write to; the text can still be selected. */}
      {window.isSecureContext && (
        <button type="button" className="forge-button" onClick={() => void copy()}>
          {copied ? 'Copied' : 'Copy'}
        </button>
      )}
      {onDemo !== undefined && (
        <button type="button" className="forge-button" onClick={onDemo}>
          Run a demo
        </button>
      )}
    </div>
  );
}

interface Group {
  readonly name: string;
  readonly rows: readonly SessionSummary[];
}

function grouped(sessions: readonly SessionSummary[], now: number): readonly Group[] {
  const rest = sessions.filter((session) => !isGoing(session));
  return [
    { name: 'Running', rows: sessions.filter(isGoing) },
    { name: 'Recent', rows: rest.filter((session) => now - session.updatedAt <= RECENT_S) },
    { name: 'Older', rows: rest.filter((session) => now - session.updatedAt > RECENT_S) },
  ].filter(({ rows }) => rows.length > 0);
}

function isGoing({ status, lost }: SessionSummary): boolean {
  return !lost && (status === 'running' || status === 'paused' || status === 'waiting');
}

function kindOf({ standing, lost }: SessionSummary): MarkKind {
  if (lost) return 'lost';
  switch (standing) {
    case 'running':
    case 'slow':
    case 'stalled':
    case 'paused':
    case 'completed':
    case 'error':
      return standing;
    default:
      return 'waiting';
  }
}

function leftOf({ status, secondsLeft }: SessionSummary): string {
  if (status !== 'running') return status;
  return secondsLeft === null ? '' : formatDuration(secondsLeft);
}

function detailOf(session: SessionSummary): string {
  const { status, standing, lost, error, metrics } = session;
  if (status === 'error') return `error · ${error.split('\n', 1)[0] ?? ''}`;
  if (status === 'waiting') return 'nothing recorded yet';
  const parts = [lost ? 'connection lost' : standing === 'running' ? '' : standing];
  const { totalModels = 1, currentModel = 1 } = metrics;
  if (totalModels > 1) parts.push(`model ${currentModel}/${totalModels}`);
  if (session.recorded.has('loss')) parts.push(`loss ${metricText('loss', metrics['loss'])}`);
  else if (session.recorded.has('currentStep')) parts.push(`step ${formatCount(metrics['currentStep'] ?? 0)}`);
  return parts.filter(Boolean).join(' · ');
}
