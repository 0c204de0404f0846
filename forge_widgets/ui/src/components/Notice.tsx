// Boxes that say what is out of the ordinary: an error, a gap, something unsaved, no connection. Text only.
import { useId, useState, type JSX, type ReactNode } from 'react';

export interface NoticeProps {
  readonly tone: 'plain' | 'warn' | 'error';
  readonly children: ReactNode;
}

/** Show a notice. */
export function Notice({ tone, children }: NoticeProps): JSX.Element {
  return <div className={`forge-notice forge-notice-${tone}`}>{children}</div>;
}

/** Show the first line of an error, and the rest when asked for. */
export function ErrorNotice({ error }: { readonly error: string }): JSX.Element {
  const [open, setOpen] = useState(false);
  const id = useId();
  const text = error.trim();
  const [first = ''] = text.split('\n', 1);
  return (
    <Notice tone="error">
      <strong>Training ended with an error:</strong> {first}
      {text.length > first.length && (
        <>
          {' '}
          <button
            type="button"
            className="forge-link"
            aria-expanded={open}
            aria-controls={id}
            onClick={() => {
              setOpen(!open);
            }}
          >
            {open ? 'show less' : 'show more'}
          </button>
          {open && (
            <pre id={id} className="forge-error-text">
              {text}
            </pre>
          )}
        </>
      )}
    </Notice>
  );
}
