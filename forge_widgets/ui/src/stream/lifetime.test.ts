// What a stream leaves behind when it is closed: nothing. And how often it tells its listeners, by a clock that is turned.
import { afterEach, describe, expect, it, vi } from 'vitest';

import { SessionStream } from './client';
import { systemClock } from './clock';
import type { Clock } from './clock';
import { rowsMessage, keyMessage, until } from './testing';
import { TestKernel, TestLog, TestServer } from './testserver';

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

/** Watch window and document; the function returned says how many listeners they have got since. */
function countListeners(): () => number {
  const added = [vi.spyOn(window, 'addEventListener'), vi.spyOn(document, 'addEventListener')];
  const removed = [vi.spyOn(window, 'removeEventListener'), vi.spyOn(document, 'removeEventListener')];
  const calls = (spies: readonly { mock: { calls: unknown[] } }[]): number =>
    spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
  return () => calls(added) - calls(removed);
}

describe('close', () => {
  it('ends every timer, socket, request and listener, a hundred times', { timeout: 30_000 }, async () => {
    const log = new TestLog();
    const [server, kernel, clock] = [new TestServer(log), new TestKernel(log), new CountingClock()];
    await server.start();
    server.append(3);
    const listeners = countListeners();
    const settings = { backoffBaseMs: 5, longPollS: 20, pollIdleMs: 5, pollBusyMs: 5 };
    for (let round = 0; round < 100; round += 1) {
      // Every other one polls, every third is closed before anything came.
      server.faults = { socketsBlocked: round % 2 === 1 };
      const stream = new SessionStream({ sessionId: 's', server: server.access(), comm: kernel, clock, settings });
      stream.start();
      expect(listeners()).toBe(3);
      if (round % 3 !== 0) await until('rows', () => stream.view.state.rows === 3 && server.connections > 0);
      stream.close();
      expect(clock.timers.size).toBe(0);
      expect(listeners()).toBe(0);
      expect(kernel.listeners.size).toBe(0);
    }
    await until('no connection is left', () => server.connections === 0);
    expect(clock.timers.size).toBe(0);
    await server.stop();
  });

  it('may be followed by another start, which goes on', async () => {
    const log = new TestLog();
    const kernel = new TestKernel(log);
    log.append(2);
    const stream = new SessionStream({ sessionId: 's', comm: kernel });
    let told = 0;
    stream.subscribe(() => { told += 1; });
    stream.start();
    await until('rows', () => stream.view.state.rows === 2);
    stream.close();
    log.append(1);
    stream.start();
    await until('more rows', () => stream.view.state.rows === 3);
    expect(kernel.said.at(-1)).toEqual({ type: 'subscribe', epoch: 'e1', after: 2 });
    expect(told).toBeGreaterThan(1);
    stream.close();
  });
});

describe('listeners', () => {
  afterEach(() => {
    vi.useRealTimers();
    Reflect.deleteProperty(document, 'hidden');
  });

  function pouring(): { stream: SessionStream; told: () => number; pour: (frames: number, apartMs: number) => void } {
    vi.useFakeTimers();
    const kernel = new TestKernel(new TestLog());
    const stream = new SessionStream({ sessionId: 's', comm: kernel });
    let count = 0;
    let top = 0;
    stream.subscribe(() => { count += 1; });
    stream.start();
    kernel.tell(keyMessage('e', 0));
    const pour = (frames: number, apartMs: number): void => {
      for (let frame = 0; frame < frames; frame += 1) {
        top += 1;
        kernel.tell(rowsMessage('e', top, top));
        vi.advanceTimersByTime(apartMs);
      }
    };
    return { stream, told: () => count, pour };
  }

  it('are told at most 20 times a second, and of the last change', () => {
    const { stream, told, pour } = pouring();
    const before = told();
    pour(1_000, 1);
    expect(told() - before).toBeGreaterThanOrEqual(19);
    expect(told() - before).toBeLessThanOrEqual(21);
    vi.advanceTimersByTime(50);
    expect(stream.view.state.rows).toBe(1_000);
    stream.close();
  });

  it('are told once a second while the page is hidden, and at once when it is shown again', () => {
    const { stream, told, pour } = pouring();
    vi.advanceTimersByTime(100);
    Object.defineProperty(document, 'hidden', { value: true, configurable: true });
    pour(1, 100);
    const before = told();
    pour(300, 10);
    expect(told() - before).toBeLessThanOrEqual(4);
    Object.defineProperty(document, 'hidden', { value: false, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
    expect(stream.view.state.rows).toBe(301);
    stream.close();
  });

  it('see the same view until they are told of the next', () => {
    const { stream, pour } = pouring();
    vi.advanceTimersByTime(100);
    pour(1, 0);
    const { view } = stream;
    pour(1, 0);
    expect(stream.view).toBe(view);
    vi.advanceTimersByTime(50);
    expect(stream.view.version).toBe(view.version + 1);
    stream.close();
  });
});

describe('waking up', () => {
  it('tries at once what was put off', async () => {
    const server = new TestServer(new TestLog());
    await server.start();
    server.append(2);
    server.faults = { socketsBlocked: true, pollStatus: 503 };
    const settings = { backoffBaseMs: 600_000, backoffCapMs: 600_000 };
    const stream = new SessionStream({ sessionId: 's', server: server.access(), settings, random: () => 1 });
    stream.start();
    await until('one failure', () => server.count('ws') === 1);
    server.faults = {};
    window.dispatchEvent(new Event('online'));
    await until('it is there', () => stream.view.link.transport === 'websocket');
    stream.close();
    await server.stop();
  });

  it('finds out that a connection has died meanwhile', async () => {
    const server = new TestServer(new TestLog());
    server.heartbeatMs = 60_000;
    await server.start();
    server.append(2);
    const stream = new SessionStream({ sessionId: 's', server: server.access(), settings: { checkTimeoutMs: 50, backoffBaseMs: 5 } });
    stream.start();
    await until('it is there', () => stream.view.state.rows === 2);
    server.faults.socketsSilent = true;
    window.dispatchEvent(new Event('pageshow'));
    await until('it is another', () => server.count('ws') > 1);
    stream.close();
    await server.stop();
  });
});
