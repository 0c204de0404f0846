// The hook and the component in StrictMode against a real server on loopback: what they show, whom they tell, and what they
// leave behind, which is nothing.
import type { ReactElement, ReactNode } from 'react';
import { renderToString } from 'react-dom/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { until } from '../stream/testing';
import { TestLog, TestServer } from '../stream/testserver';
import DefaultExport, { useWebSocketProgress, WebSocketProgress } from '.';
import type { ProgressMetrics, UseWebSocketProgress, UseWebSocketProgressOptions } from '.';
import { connect, Mounted, type Network } from './testing';

let server: TestServer;
let network: Network;
let mounted: Mounted[];

beforeEach(async () => {
  server = new TestServer(new TestLog());
  await server.start();
  network = connect(server);
  mounted = [];
});

afterEach(async () => {
  for (const one of mounted) one.unmount();
  await server.stop();
});

/** What the dashboard of the test has shown, each time it was rendered. */
let shown: UseWebSocketProgress[] = [];

type DashboardProps = { readonly sessionId: string | null } & UseWebSocketProgressOptions;

function Dashboard({ sessionId, ...options }: DashboardProps): ReactElement {
  const progress = useWebSocketProgress(sessionId, { websocketUrl: network.url, ...options });
  shown.push(progress);
  const { metrics, WebSocketProgressComponent } = progress;
  return (
    <div>
      <div className="step">Step: {metrics?.currentStep ?? 0}</div>
      <WebSocketProgressComponent />
    </div>
  );
}

function mount(node: ReactNode): Mounted {
  shown = [];
  const one = new Mounted(node);
  mounted.push(one);
  return one;
}

function newest(): UseWebSocketProgress {
  const last = shown.at(-1);
  if (last === undefined) throw new Error('nothing was rendered');
  return last;
}

const stepOf = (metrics: ProgressMetrics | null | undefined): number => metrics?.currentStep ?? 0;
const isAt = (step: number) => (): boolean => stepOf(newest().metrics) === step;

describe('useWebSocketProgress', () => {
  it('waits, shows what is there, and follows', async () => {
    mount(<Dashboard sessionId="s" />);
    expect(newest()).toMatchObject({ metrics: null, status: 'waiting', error: null });
    server.append(3);
    await until('step 3', isAt(3));
    expect(newest()).toMatchObject({ status: 'running', error: null, connection: { transport: 'websocket', reason: '' } });
    server.append(4);
    await until('step 7', isAt(7));
    expect(network.opened).toBe(1);
  });

  it('does nothing without a session', () => {
    const { host } = mount(<Dashboard sessionId={null} />);
    expect(newest()).toMatchObject({ metrics: null, status: 'waiting', error: null, connection: { transport: 'idle' } });
    expect(host.querySelector('.forge-progress')).toBeNull();
    expect(network.opened).toBe(0);
  });

  it('keeps its component as long as the session is the same', async () => {
    const one = mount(<Dashboard sessionId="s" />);
    server.append(3);
    await until('step 3', isAt(3));
    const box = one.host.querySelector('.forge-progress');
    const before = newest().WebSocketProgressComponent;
    one.render(<Dashboard sessionId="s" token="" />);
    server.append(1);
    await until('step 4', isAt(4));
    expect(newest().WebSocketProgressComponent).toBe(before);
    expect(one.host.querySelector('.forge-progress')).toBe(box);
    expect(box?.getAttribute('data-transport')).toBe('websocket');
    expect(box?.textContent).toContain('step 4 of 1,000');
  });

  it('goes to polling and back, and never shows less than it has shown', async () => {
    mount(<Dashboard sessionId="s" fallbackPollingInterval={50} />);
    server.append(3);
    await until('step 3', isAt(3));
    server.faults.socketsBlocked = true;
    for (const socket of network.sockets) socket.close();
    await until('polling', () => newest().connection.transport === 'http', 8_000);
    expect(newest().connection.reason).toBe('WebSocket is blocked here');
    server.append(2);
    await until('step 5', isAt(5));
    server.faults = {};
    await until('the WebSocket', () => newest().connection.transport === 'websocket', 8_000);
    server.append(1);
    await until('step 6', isAt(6));
    const steps = shown.map(({ metrics }) => stepOf(metrics));
    expect(steps).toEqual([...steps].sort((one, other) => one - other));
    const first = shown.findIndex(({ metrics }) => metrics !== null);
    expect(shown.slice(first).every(({ metrics }) => metrics !== null)).toBe(true);
  });

  it('shows nothing of another session, and lets go of it', async () => {
    const one = mount(<Dashboard sessionId="s" />);
    server.append(3);
    await until('step 3', isAt(3));
    shown = [];
    one.render(<Dashboard sessionId="other" />);
    expect(newest()).toMatchObject({ metrics: null, status: 'waiting' });
    await until('one socket', () => network.opened === 2 && network.sockets.size === 1);
    one.render(<Dashboard sessionId={null} />);
    await until('none', () => network.sockets.size === 0 && server.connections === 0);
  });

  it('says what can’t be used instead of failing', async () => {
    const complaint = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    mount(<Dashboard sessionId="s" websocketUrl="localhost:8001" />);
    await until('word of it', () => newest().connection.transport === 'offline');
    expect(newest().connection.reason).toContain('expected an address such as ws://localhost:8001');
    mount(<Dashboard sessionId="a/b" />);
    await until('word of that', () => newest().connection.transport === 'offline');
    expect(newest().connection.reason).toContain('the sessionId “a/b” can\'t be used');
    expect(complaint).toHaveBeenCalledTimes(2);
    expect(network.opened).toBe(0);
  });

  it('sends a token with what it asks for, in the address only of WebSockets', async () => {
    server.faults.socketsBlocked = true;
    const asked = vi.spyOn(globalThis, 'fetch');
    mount(<Dashboard sessionId="s" token="secret" />);
    await until('a poll', () => asked.mock.calls.length > 0, 8_000);
    const [url, init] = asked.mock.calls[0] ?? [];
    expect(url).not.toContain('secret');
    expect(new Headers(init?.headers).get('Authorization')).toBe('token secret');
    expect(server.asked.find((one) => one.startsWith('ws'))).toContain('token=secret');
  });
});

describe('many on a page', () => {
  it('share a stream, and it lives as long as one of them', async () => {
    const one = mount(<Dashboard sessionId="s" />);
    const other = new Mounted(<WebSocketProgress sessionId="s" websocketUrl={`${network.url.replace('ws', 'http')}/`} />);
    server.append(2);
    await until('step 2', isAt(2));
    expect(network.opened).toBe(1);
    other.unmount();
    server.append(1);
    await until('step 3', isAt(3));
    expect(network.opened).toBe(1);
    one.unmount();
    await until('the end', () => network.sockets.size === 0);
  });

  it('leave no socket, request, timer or listener behind, a hundred times', { timeout: 30_000 }, async () => {
    server.append(2);
    const added = [vi.spyOn(window, 'addEventListener'), vi.spyOn(document, 'addEventListener')];
    const removed = [vi.spyOn(window, 'removeEventListener'), vi.spyOn(document, 'removeEventListener')];
    const count = (spies: typeof added | typeof removed): number => spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
    const timers = new Set<unknown>();
    const [set, clear] = [globalThis.setTimeout, globalThis.clearTimeout];
    vi.stubGlobal('setTimeout', (callback: () => void, delay: number) => {
      const timer = set(() => {
        timers.delete(timer);
        callback();
      }, delay);
      timers.add(timer);
      return timer;
    });
    vi.stubGlobal('clearTimeout', (timer: ReturnType<typeof setTimeout>) => {
      timers.delete(timer);
      clear(timer);
    });
    for (let round = 0; round < 100; round += 1) {
      server.faults = { socketsBlocked: round % 2 === 1 };
      const one = new Mounted(<Dashboard sessionId="s" />);
      // Every third is gone before anything came.
      if (round % 6 === 0) await until('step 2', isAt(2));
      one.unmount();
      await Promise.resolve();
      expect(count(added)).toBe(count(removed));
    }
    await until('nothing is open', () => network.sockets.size + network.requests.size + server.connections === 0);
    // `until` itself waits by one.
    expect(timers.size).toBeLessThanOrEqual(1);
    expect(document.body.childElementCount).toBe(0);
  });
});

describe('WebSocketProgress', () => {
  it('is the default export, too', () => {
    expect(DefaultExport).toBe(WebSocketProgress);
  });

  it('tells the newest state, each once, and never an older one', async () => {
    const metrics: number[] = [];
    const statuses: string[] = [];
    const told = {
      onMetricsUpdate: (update: ProgressMetrics) => metrics.push(stepOf(update)),
      onStatusUpdate: (status: string) => statuses.push(status),
    };
    mount(<WebSocketProgress sessionId="s" websocketUrl={network.url} {...told} />);
    await until('waiting', () => statuses.length === 1);
    for (let round = 0; round < 30; round += 1) {
      server.append(1);
      await new Promise((next) => setTimeout(next, 5));
    }
    await until('step 30', () => metrics.at(-1) === 30);
    expect(metrics.length).toBeLessThan(30);
    expect(metrics).toEqual([...new Set(metrics)].sort((one, other) => one - other));
    expect(statuses).toEqual(['waiting', 'running']);
  });

  it('tells an error once that the session stands at, also where others have followed it before', async () => {
    server.append(1);
    Object.assign(server.log, { state: { ...server.log.state, status: 'error', error: 'CUDA out of memory\nTraceback' } });
    const errors: string[] = [];
    const onError = (error: string): number => errors.push(error);
    mount(<Dashboard sessionId="s" />);
    await until('the error', () => newest().error === 'CUDA out of memory\nTraceback');
    mount(<WebSocketProgress sessionId="s" websocketUrl={network.url} onError={onError} />);
    await until('word of it', () => errors.length > 0);
    expect(errors).toEqual(['CUDA out of memory\nTraceback']);
    const words = mounted[0]?.host.querySelector('.forge-progress')?.textContent;
    expect(words).toContain('CUDA out of memory');
    expect(words).not.toContain('Traceback');
    expect(mounted[0]?.host.querySelector('[role=status]')?.textContent).toBe('s: error. WebSocket.');
  });

  it('stands in the page’s flow unless it is asked over it, and has a name', () => {
    const { host } = mount(<WebSocketProgress sessionId="s" websocketUrl={network.url} />);
    const box = host.querySelector<HTMLElement>('[role=group]');
    expect(box?.getAttribute('aria-label')).toBe('Training s');
    expect(box?.style.position).toBe('relative');
    mount(<WebSocketProgress sessionId="s" websocketUrl={network.url} position="bottom-right" theme="dark" className="mine" />);
    const over = mounted[1]?.host.querySelector<HTMLElement>('.forge-progress.mine');
    expect(over?.style).toMatchObject({ position: 'fixed', bottom: '16px', right: '16px', colorScheme: 'dark' });
  });
});

describe('on a server', () => {
  it('renders what is known before anything is', () => {
    expect(renderToString(<Dashboard sessionId="s" />)).toContain('looking');
    expect(network.opened).toBe(0);
  });
});
