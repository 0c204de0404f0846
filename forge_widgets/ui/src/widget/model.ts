// What our anywidgets know from Python, and the way through the kernel that their model is. Called by both widgets.
import type { AnyModel } from '@anywidget/types';

import { jupyterPlace, serverAccess } from '../components/access';
import { SessionStream, type CommChannel } from '../stream';

/** The traits that follow a session. */
export interface SessionTraits {
  readonly session_id: string;
  /** The store that the session is in; "" where the kernel does not say. */
  readonly store_id: string;
}

/** Return the channel of a model's custom messages. */
export function commOf(model: AnyModel<SessionTraits>): CommChannel {
  return {
    send(message) {
      model.send(message);
    },
    listen(listener) {
      const heard = (message: unknown): void => {
        listener(message);
      };
      model.on('msg:custom', heard);
      return () => {
        model.off('msg:custom', heard);
      };
    },
  };
}

/** Return a stream of the session that a model names: through the server of this page where there is one, and the kernel. */
export function streamOf(model: AnyModel<SessionTraits>): SessionStream {
  const place = jupyterPlace(document);
  const storeId = model.get('store_id');
  return new SessionStream({
    sessionId: model.get('session_id'),
    comm: commOf(model),
    ...(storeId === '' ? {} : { storeId }),
    ...(place === null ? {} : { server: serverAccess(place) }),
  });
}

/** Follow the session that a model names: `show` it now and whenever it names another; the clean-ups are called in between and at the end. */
export function followSession(model: AnyModel<SessionTraits>, show: (stream: SessionStream) => () => void): () => void {
  let end = begin();
  function begin(): () => void {
    const stream = streamOf(model);
    const hide = show(stream);
    stream.start();
    return () => {
      hide();
      stream.close();
    };
  }
  const again = (): void => {
    end();
    end = begin();
  };
  model.on('change:session_id', again);
  return () => {
    model.off('change:session_id', again);
    end();
  };
}
