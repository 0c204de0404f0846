// The side panel: the list of sessions, asked for while it can be seen.
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { createElement } from 'react';

import { SessionList } from '../components/SessionList';
import { SessionsPoll } from '../components/sessions';
import type { ServerAccess } from '../stream';
import { sessionsIcon } from './icon';

/** Lists the sessions of a server. Owns its poll, which rests while the panel or the page is hidden. */
export class SessionsPanel extends ReactWidget {
  readonly #poll: SessionsPoll;
  readonly #onOpen: (sessionId: string) => void;

  constructor(server: ServerAccess, onOpen: (sessionId: string) => void) {
    super();
    this.#poll = new SessionsPoll(server);
    this.#onOpen = onOpen;
    this.id = 'forge-widgets-sessions';
    this.title.icon = sessionsIcon;
    this.title.caption = 'Training sessions';
    this.addClass('forge-panel');
    document.addEventListener('visibilitychange', this.#follow);
  }

  override dispose(): void {
    if (this.isDisposed) return;
    document.removeEventListener('visibilitychange', this.#follow);
    this.#poll.stop();
    super.dispose();
  }

  protected override render(): React.ReactElement {
    return createElement(SessionList, { poll: this.#poll, onOpen: this.#onOpen });
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.#follow();
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.#follow();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.#follow();
  }

  protected override onAfterDetach(message: Message): void {
    super.onAfterDetach(message);
    this.#poll.stop();
  }

  readonly #follow = (): void => {
    if (this.isVisible && !document.hidden) this.#poll.start();
    else this.#poll.stop();
  };
}
