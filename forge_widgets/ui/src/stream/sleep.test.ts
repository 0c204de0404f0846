// Links of pages that nobody sees: a hidden tab's timers fire once a minute, and a computer that slept finds them all overdue.
// Real sockets, and a clock whose timers come late, at a hundredth of the periods that people have.
// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { SessionStream } from './client';
import { systemClock } from './clock';
import type { Clock } from './clock';
import { until } from './testing';
import { TestLog, TestServer } from './testserver';

const HEARTBEAT_MS = 100;
const MINUTE_MS = 600;

/** The system's clock, whose timers fire only once in a while, all that are due together; on time where `tick` is 0. */
class ThrottledClock implements Clock {
  tickMs = 0;

  now(): number {
    return systemClock.now();
  }

  after(delayMs: number, callback: () => void): () => void {
    const due = this.now() + delayMs;
    return systemClock.after(this.tickMs === 0 ? delayMs : Math.ceil(due / this.tickMs) * this.tickMs - this.now(), callback);
  }
}

let server: TestServer;
let clock: ThrottledClock;
let stream: SessionStream;

beforeEach(async () => {
  server = new TestServer(new TestLog());
  server.heartbeatMs = HEARTBEAT_MS;
  await server.start();
  server.append(1);
  clock = new ThrottledClock();
  const settings = { checkTimeoutMs: 30, welcomeTimeoutMs: 300, backoffBaseMs: 5, backoffCapMs: 20, notifyMs: 5, stableMs: 100 };
  stream = new SessionStream({ sessionId: 's', server: server.access(), clock, settings });
  stream.start();
  await until('the first row', () => stream.view.state.rows === 1);
});

afterEach(async () => {
  stream.close();
  await server.stop();
});

async function pass(ms: number): Promise<void> {
  await new Promise((later) => setTimeout(later, ms));
}

/** Let nothing happen on this page, as a computer does that sleeps: what the network brings meanwhile waits. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe('a hidden tab', () => {
  it('keeps a healthy link, though its timers fire once a minute', async () => {
    clock.tickMs = MINUTE_MS;
    await pass(2 * MINUTE_MS);
    expect(stream.view.link.transport).toBe('websocket');
    server.append(3);
    await until('what came', () => stream.view.state.rows === 4);
    expect([server.count('ws'), server.count('poll')]).toEqual([1, 0]);
  });

  it('gives up a dead link all the same', async () => {
    clock.tickMs = MINUTE_MS;
    server.faults.socketsSilent = true;
    await until('another socket', () => server.count('ws') > 1 || server.count('poll') > 0, 4 * MINUTE_MS);
  });
});

describe('a computer that slept', () => {
  it('keeps a link that is healthy, whenever it was put to sleep', async () => {
    // The deadline is over by the time that it wakes up, and what the server has said is still in the socket.
    const before = server.count('ws');
    for (let night = 0; night < 3; night += 1) {
      await pass(0.4 * HEARTBEAT_MS * night);
      server.append(2);
      sleep(6 * HEARTBEAT_MS);
      await pass(HEARTBEAT_MS);
    }
    await until('what came', () => stream.view.state.rows === 7);
    expect(server.count('ws')).toBe(before);
  });
});
