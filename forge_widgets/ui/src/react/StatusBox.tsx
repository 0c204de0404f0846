// The small box that says how a session stands and which way it is reached. In the page's flow unless it is asked over it; its
// styles stand in the elements, so that it needs no stylesheet and no page's policy forbids one.
import type { CSSProperties, ReactElement } from 'react';

import { StatusMark, type MarkKind } from '../components/StatusMark';
import { clockWords, sentence } from '../components/words';
import { formatCount } from '../stream';
import type { ProgressAppearance, ProgressConnection } from './contract';
import type { Progress } from './progress';

export interface StatusBoxProps extends ProgressAppearance {
  readonly sessionId: string;
  readonly progress: Progress;
}

/** Show the box. */
export function StatusBox({ sessionId, progress, className, style, ...looks }: StatusBoxProps): ReactElement {
  const { connection } = progress;
  const kind = kindOf(progress);
  const words = connectionWords(connection);
  const place = placeWords(progress);
  return (
    // No div: people put it into paragraphs.
    <span
      role="group"
      aria-label={`Training ${sessionId}`}
      data-status={kind}
      data-transport={connection.transport}
      className={className === undefined ? 'forge-progress' : `forge-progress ${className}`}
      style={{ ...boxStyle(looks), ...style }}
    >
      <span style={{ ...MARK, color: COLOURS[kind] }}>
        <StatusMark kind={kind} />
      </span>
      <span style={{ fontWeight: 600 }}>{WORDS[kind]}</span>
      {kind === 'error' && <span style={{ overflowWrap: 'anywhere' }}>{firstLine(progress.error ?? '')}</span>}
      {place !== '' && <span>{place}</span>}
      <span style={{ opacity: 0.85 }}>{words}</span>
      <span role="status" style={UNSEEN}>
        {`${sessionId}: ${WORDS[kind]}. ${sentence(words)}`}
      </span>
    </span>
  );
}

function kindOf({ connection, loaded, lost, status }: Progress): MarkKind {
  if (connection.transport === 'deleted') return 'deleted';
  if (!loaded) return 'connecting';
  return lost && (status === 'running' || status === 'paused') ? 'lost' : status;
}

/** Say where the training stands: "model 2 of 3 · step 450 of 1,000"; "" before anything is recorded. */
function placeWords({ metrics }: Progress): string {
  if (metrics === null) return '';
  const { currentStep, totalSteps, currentModel, totalModels } = metrics;
  const several = totalModels !== null && totalModels > 1;
  const model = several && currentModel !== null ? [`model ${formatCount(currentModel)} of ${formatCount(totalModels)}`] : [];
  const total = totalSteps === null ? '' : ` of ${formatCount(totalSteps)}`;
  const step = currentStep === null ? [] : [`step ${formatCount(currentStep)}${total}`];
  return [...model, ...step].join(' · ');
}

function firstLine(error: string): string {
  const [line = ''] = error.trim().split('\n', 1);
  return line.length > LINE_CHARS ? `${line.slice(0, LINE_CHARS - 1)}…` : line;
}

function connectionWords({ transport, reason, since }: ProgressConnection): string {
  const why = reason === '' ? '' : `: ${reason}`;
  switch (transport) {
    case 'idle':
      return 'no connection yet';
    case 'connecting':
      return 'connecting…';
    case 'websocket':
      return 'WebSocket';
    case 'http':
      return `polling${why}`;
    case 'offline':
      return `offline since ${clockWords(since ?? 0)}${why}`;
    case 'deleted':
      return reason;
  }
}

const LINE_CHARS = 120;

const WORDS: Readonly<Record<MarkKind, string>> = {
  connecting: 'looking',
  waiting: 'waiting',
  running: 'running',
  slow: 'slow',
  stalled: 'stalled',
  paused: 'paused',
  completed: 'completed',
  error: 'error',
  lost: 'training lost',
  history: 'history only',
  deleted: 'deleted',
};

/** Of marks alone, at least 3 : 1 on white as on black; their shapes say the same. */
const COLOURS: Readonly<Partial<Record<MarkKind, string>>> = {
  running: '#1e88e5',
  completed: '#2e9444',
  paused: '#b86e00',
  lost: '#b86e00',
  error: '#e53935',
};

const MARK: CSSProperties = { display: 'inline-block', flex: 'none', height: 12, lineHeight: 0, width: 12 };

const UNSEEN: CSSProperties = {
  clipPath: 'inset(50%)',
  height: 1,
  overflow: 'hidden',
  position: 'absolute',
  whiteSpace: 'nowrap',
  width: 1,
};

function boxStyle({ position = 'inline', theme = 'auto' }: ProgressAppearance): CSSProperties {
  const over = position !== 'inline';
  return {
    alignItems: 'center',
    border: '1px solid color-mix(in srgb, currentColor 30%, transparent)',
    borderRadius: 4,
    boxSizing: 'border-box',
    columnGap: 8,
    display: 'inline-flex',
    flexWrap: 'wrap',
    fontSize: 13,
    fontVariantNumeric: 'tabular-nums',
    lineHeight: '20px',
    maxWidth: '100%',
    padding: '2px 8px',
    position: 'relative',
    // Over a page it needs a ground of its own; in it, it stands on the page's.
    ...((over || theme !== 'auto') && { background: 'Canvas', color: 'CanvasText' }),
    ...(theme !== 'auto' && { colorScheme: theme }),
    ...(over && cornerStyle(position)),
  };
}

function cornerStyle(corner: string): CSSProperties {
  const [vertical = '', horizontal = ''] = corner.split('-');
  return { maxWidth: 'calc(100% - 32px)', position: 'fixed', zIndex: 1000, [vertical]: 16, [horizontal]: 16 };
}
