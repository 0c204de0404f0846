// A browser's side of a live view in a process of its own, for the fault suite: the real session stream against a real
// server. Says on stdout, a line of JSON each, what it applies and by what; obeys lines on stdin (tests/faults/browser.py).
import process from 'node:process';
import { createInterface } from 'node:readline';

import { asSocket, serverAccess } from '../../forge_widgets/ui/src/components/access';
import { SessionStream, systemClock } from '../../forge_widgets/ui/src/stream';
import type { Clock, CommChannel, Frame, ServerAccess, StreamSettings } from '../../forge_widgets/ui/src/stream';
import { CursorClient } from '../../forge_widgets/ui/src/stream/cursor';
import { openNodeSocket } from '../../forge_widgets/ui/src/stream/testserver';
import { linesOf, recordsOf, say } from './wire';

/** What the process is told on its command line. */
interface Task {
  readonly url: string;
  readonly token: string;
  readonly sessionId: string;
  readonly storeId: string | null;
  /** Whether there is a kernel at the other end of stdin and stdout. */
  readonly comm: boolean;
  readonly settings: Partial<StreamSettings>;
}

/** An event target that knows how many listeners it has: `window` and `document` of a page without either. */
class Page extends EventTarget {
  hidden = false;
  readonly cookie = '';
  listeners = 0;

  override addEventListener(...added: Parameters<EventTarget['addEventListener']>): void {
    this.listeners += 1;
    super.addEventListener(...added);
  }

  override removeEventListener(...removed: Parameters<EventTarget['removeEventListener']>): void {
    this.listeners -= 1;
    super.removeEventListener(...removed);
  }
}

/** The system's clock, which counts its timers. */
class CountingClock implements Clock {
  readonly timers = new Set<object>();

  now(): number {
    return systemClock.now();
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = {};
    this.timers.add(timer);
    const cancel = systemClock.after(delayMs, () => {
      this.timers.delete(timer);
      callback();
    });
    return () => {
      this.timers.delete(timer);
      cancel();
    };
  }
}

/** The way to the server, which counts what is open and what was ever asked. */
class CountingAccess implements ServerAccess {
  readonly sockets = new Set<WebSocket>();
  readonly requests = new Set<object>();
  opened = 0;
  asked = 0;
  readonly #server: ServerAccess;

  constructor({ url, token }: Task) {
    const socketUrl = asSocket(new URL(url)).href;
    this.#server = serverAccess({ url, socketUrl, token, tokenInSocket: true });
  }

  socketUrl(path: string, query: Record<string, string>): string {
    return this.#server.socketUrl(path, query);
  }

  openSocket(url: string): WebSocket {
    const socket = openNodeSocket(url);
    this.opened += 1;
    this.sockets.add(socket);
    socket.addEventListener('close', () => { this.sockets.delete(socket); });
    return socket;
  }

  async request(path: string, init?: Parameters<ServerAccess['request']>[1]): Promise<Response> {
    const request = {};
    this.asked += 1;
    this.requests.add(request);
    try {
      return await this.#server.request(path, init);
    } finally {
      this.requests.delete(request);
    }
  }
}

/** The comm of a widget: lines to and from whoever started this process, where a kernel is. */
class PipedComm implements CommChannel {
  readonly listeners = new Set<(message: unknown) => void>();

  send(message: Record<string, unknown>): void {
    say({ type: 'comm', message });
  }

  listen(listener: (message: unknown) => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  tell(message: unknown): void {
    for (const listener of [...this.listeners]) listener(message);
  }
}

/** Say of each frame that the cursor client applies what it was, and the state that it has led to. */
function sayWhatIsApplied(): void {
  const prototype = CursorClient.prototype;
  const take = Reflect.get(prototype, 'take');
  prototype.take = function (this: CursorClient, frame: Frame) {
    const before = this.cursor;
    const outcome = take.call(this, frame);
    if (outcome === 'applied') say({ type: 'applied', before, frame: written(frame), state: this.state, cursor: this.cursor });
    else say({ type: outcome, from: frame.from, to: frame.to, cursor: this.cursor });
    return outcome;
  };
}

function written(frame: Frame): Record<string, unknown> {
  // Of the curves only how many points they have: that decides whether a frame is news.
  if (frame.key) return { ...frame, series: frame.series.map(({ steps }) => ({ steps: [...steps] })), events: recordsOf(frame.events) };
  return { ...frame, records: recordsOf(frame.records) };
}

function main(task: Task): void {
  const page = new Page();
  Object.assign(globalThis, { window: page, document: page });
  sayWhatIsApplied();
  const clock = new CountingClock();
  const server = new CountingAccess(task);
  const comm = new PipedComm();
  const { sessionId, storeId, settings } = task;
  const stream = new SessionStream({ sessionId, storeId, server, comm: task.comm ? comm : null, clock, settings });
  let said = '';
  stream.subscribe(() => {
    const { link, unsaved, unsavedReason, gap, trimmed, deleted, loaded } = stream.view;
    const line = { type: 'view', ...link, unsaved, unsavedReason, gap, trimmed, deleted, loaded };
    const now = JSON.stringify(line);
    if (now !== said) say(line);
    said = now;
  });
  const commands: Record<string, (argument: unknown) => void> = {
    start: () => { stream.start(); },
    close: () => { stream.close(); },
    comm: (message) => { comm.tell(message); },
    wake: (event) => { page.dispatchEvent(new Event(String(event))); },
    report: (id) => {
      const { state, series, link, version } = stream.view;
      const open = { timers: clock.timers.size, sockets: server.sockets.size, requests: server.requests.size };
      const listeners = page.listeners + comm.listeners.size;
      const counts = { ...open, listeners, opened: server.opened, asked: server.asked };
      say({ type: 'report', id, counts, link, version, state, series: linesOf(series) });
    },
    stop: () => {
      stream.close();
      // Nothing else of ours keeps the process.
      process.stdin.destroy();
    },
  };
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const { do: command, argument } = JSON.parse(line) as { do: string; argument: unknown };
    commands[command]?.(argument);
  });
  lines.on('close', () => { stream.close(); });
  stream.start();
  say({ type: 'started' });
}

main(JSON.parse(process.argv[2] ?? '{}') as Task);
