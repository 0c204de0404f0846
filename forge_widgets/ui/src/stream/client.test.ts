// The session stream against a real server on loopback: it walks down and up between the transports, and what it shows
// is whole at every moment.
// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { SessionStream } from './client';
import type { SessionStreamOptions } from './client';
import type { StreamSettings } from './settings';
import { keyMessage, seeded, until } from './testing';
import type { Json } from './testing';
import { TestKernel, TestLog, TestServer } from './testserver';

const QUICK: Partial<StreamSettings> = {
  welcomeTimeoutMs: 300,
  backoffBaseMs: 20,
  backoffCapMs: 100,
  stableMs: 100,
  seldomMs: 150,
  longPollS: 1,
  pollIdleMs: 20,
  pollBusyMs: 10,
  answerTimeoutMs: 500,
  checkTimeoutMs: 300,
  resumeSpacingMs: 50,
  notifyMs: 5,
};

let log: TestLog;
let server: TestServer;
let kernel: TestKernel;
let streams: SessionStream[];

beforeEach(async () => {
  log = new TestLog();
  server = new TestServer(log);
  kernel = new TestKernel(log);
  streams = [];
  await server.start();
});

afterEach(async () => {
  for (const stream of streams) stream.close();
  await server.stop();
});

/** Follow the session, and check on each view that it goes on and never back. */
function follow(options: Partial<SessionStreamOptions> = {}): SessionStream {
  const { settings, ...others } = options;
  const stream = new SessionStream({
    sessionId: 's',
    storeId: 'store-1',
    server: server.access(),
    random: seeded(3),
    settings: { ...QUICK, ...settings },
    ...others,
  });
  let rows = 0;
  stream.subscribe(() => {
    expect(stream.view.state.rows).toBeGreaterThanOrEqual(rows);
    rows = stream.view.state.rows;
  });
  streams.push(stream);
  stream.start();
  return stream;
}

function kernelWelcome(protocol: number): Json {
  return { type: 'welcome', protocol, storeId: 'store-1', heartbeatSeconds: 10, timestamp: Date.now() / 1000 };
}

async function reached(stream: SessionStream, transport: string | null, rows: number): Promise<void> {
  const what = `${String(transport)} with ${String(rows)} rows`;
  await until(what, () => stream.view.link.transport === transport && stream.view.state.rows === rows);
}

/** All rows came, each once, none thinned: the curve is every step. */
function expectWhole(stream: SessionStream): void {
  expect(stream.view.state).toEqual(log.state);
  expect(stream.view.gap).toBe(false);
  const steps = Array.from({ length: log.top }, (_, index) => index + 1);
  expect(stream.view.series.points('loss')[0]?.steps).toEqual(steps);
}

describe('over a WebSocket', () => {
  it('shows what is there, and then what comes', async () => {
    log.append(3);
    const stream = follow();
    await reached(stream, 'websocket', 3);
    server.append(4);
    await reached(stream, 'websocket', 7);
    expectWhole(stream);
    expect(stream.view.link).toEqual({ transport: 'websocket', reason: '', offlineSince: null });
    expect(server.count('poll')).toBe(0);
  });

  it('waits for a session that is unknown', async () => {
    const stream = follow();
    await until('loaded', () => stream.view.loaded);
    expect(stream.view.state.status).toBe('waiting');
    server.append(2);
    await until('the key frame', () => stream.view.state.attempt === 1 || server.count('resume') > 0);
    await reached(stream, 'websocket', 2);
  });

  it('goes on from its cursor after the server was away', async () => {
    server.append(3);
    const stream = follow();
    await reached(stream, 'websocket', 3);
    await server.stop();
    await until('offline', () => stream.view.link.offlineSince !== null);
    expect(stream.view.link.reason).toBe('the server can’t be reached');
    log.append(2);
    await server.start();
    await reached(stream, 'websocket', 5);
    expectWhole(stream);
    expect(server.asked.some((asked) => asked.includes('epoch=e1&after=3'))).toBe(true);
  });

  it('notices a connection that is dead, and makes another', async () => {
    server.append(1);
    const stream = follow();
    await reached(stream, 'websocket', 1);
    server.faults.socketsSilent = true;
    await until('the end', () => stream.view.link.transport !== 'websocket');
    server.faults = {};
    server.append(1);
    await reached(stream, 'websocket', 2);
  });

  it('asks again where a frame got lost', async () => {
    server.append(1);
    const stream = follow();
    await reached(stream, 'websocket', 1);
    server.faults.loseFrame = true;
    server.append(2);
    server.append(2);
    await reached(stream, 'websocket', 5);
    expect(server.count('resume')).toBe(1);
    expectWhole(stream);
  });

  it('asks again where the last frame got lost and none shows the hole', async () => {
    server.append(1);
    const stream = follow();
    await reached(stream, 'websocket', 1);
    server.faults.loseFrame = true;
    server.append(2);
    await reached(stream, 'websocket', 3);
    expectWhole(stream);
  });

  it('does not come back to a session that was deleted', async () => {
    server.append(1);
    const stream = follow({ comm: kernel });
    await reached(stream, 'websocket', 1);
    server.closeSockets(1000);
    await until('deleted', () => stream.view.deleted);
    expect(stream.view.link).toMatchObject({ transport: null, reason: 'this session was deleted' });
    expect(server.connections).toBe(0);
    const asked = server.asked.length;
    await new Promise((later) => setTimeout(later, 300));
    expect(server.asked.length).toBe(asked);
  });

  it('follows a session that begins anew', async () => {
    server.append(5);
    const stream = new SessionStream({ sessionId: 's', server: server.access(), settings: QUICK });
    streams.push(stream);
    stream.start();
    await reached(stream, 'websocket', 5);
    log.restart('e2');
    server.append(2);
    await reached(stream, 'websocket', 2);
    expect(stream.view.state).toEqual(log.state);
  });
});

describe('binary messages', () => {
  it('are asked for deflated, and read in order with those that are text', async () => {
    server.faults.deflates = true;
    server.append(3);
    const stream = follow();
    await reached(stream, 'websocket', 3);
    for (let round = 0; round < 30; round += 1) {
      // A long one takes longer to inflate than a short one that is text.
      server.faults.deflates = round % 2 === 0;
      server.append(round % 2 === 0 ? 400 : 1);
    }
    await until('all', () => stream.view.state.rows === log.top);
    expect(stream.view.state).toEqual(log.state);
    expect(server.count('resume')).toBe(0);
    expect(server.asked[0]).toContain('encoding=deflate');
  });

  it.each([
    ['can’t be inflated', [1, 2, 3]],
    ['go on from a frame in brief that did not come', [0b10100000, 2, 0]],
  ])('that %s end the connection, and the next one goes on', async (_, bytes) => {
    server.append(1);
    const stream = follow();
    await reached(stream, 'websocket', 1);
    server.sendRaw(Buffer.from(bytes));
    await until('the next', () => server.count('ws') > 1);
    server.append(2);
    await until('all', () => stream.view.state.rows === 3);
  });
});

describe('a side that speaks another version', () => {
  it.each([
    [[2, 3], 'this page is older than the server: reload it'],
    [[0], 'the server is older than this page: update forge-widgets there'],
  ])('is left alone, and the view says who is behind (%j)', async (protocols, reason) => {
    server.faults.protocols = protocols;
    const stream = follow();
    await until('offline', () => stream.view.link.offlineSince !== null);
    expect(stream.view.link.reason).toBe(reason);
    const asked = server.asked.length;
    expect(server.asked.every((one) => /^(ws|poll)\?protocol=1(&|$)/.test(one))).toBe(true);
    await new Promise((later) => setTimeout(later, 300));
    expect(server.asked.length).toBe(asked);
  });

  it('may only show by its welcome', async () => {
    server.faults.protocol = 9;
    log.append(2);
    const stream = follow({ comm: kernel });
    await reached(stream, 'comm', 2);
    expect(stream.view.link.reason).toBe('this page is older than the server: reload it');
  });

  it('may be the kernel: nothing of it is shown until another one greets', async () => {
    log.append(2);
    const stream = follow({ server: null, comm: kernel, settings: { welcomeTimeoutMs: 60_000 } });
    kernel.tell(kernelWelcome(9));
    await until('offline', () => stream.view.link.offlineSince !== null);
    expect(stream.view.link.reason).toBe('this page is older than the kernel: reload it');
    const said = kernel.said.length;
    kernel.pushKey();
    expect(stream.view.state.rows).toBe(0);
    expect(kernel.said.length).toBe(said);
    kernel.tell(kernelWelcome(1));
    kernel.pushKey();
    await reached(stream, 'comm', 2);
  });
});

describe('by HTTP polling', () => {
  it('does not come back to a session that was deleted', async () => {
    server.faults.socketsBlocked = true;
    server.append(1);
    const stream = follow({ comm: kernel });
    await reached(stream, 'http', 1);
    server.faults.deleted = true;
    server.append(1);
    await until('deleted', () => stream.view.deleted);
    expect(stream.view.link).toMatchObject({ transport: null, reason: 'this session was deleted' });
  });

  it('begins with few points, and asks for all once the link is known to be a good one', async () => {
    server.faults = { socketsBlocked: true, coarse: true };
    server.append(2);
    // A machine that was busy may make the link look slow: asked for more, it shows itself again.
    const stream = follow({ settings: { finerMs: 50 } });
    await reached(stream, 'http', 2);
    await until('a poll for all', () => server.asked.some((asked) => /^poll.*&after=2.*&coarse=1$/.test(asked)));
    server.append(2);
    await reached(stream, 'http', 4);
    expect(server.asked.find((asked) => asked.startsWith('poll'))).toBe('poll?protocol=1&brief=outline&limit=100');
    await until('polls that ask for what is new alone', () => !/limit|coarse/.test(server.asked.at(-1) ?? ''));
  });

  it('asks a slow link for more points once, after a while', async () => {
    server.faults = { socketsBlocked: true, coarse: true, brief: true };
    server.append(2);
    const stream = follow({ settings: { finerMs: 100 } });
    await reached(stream, 'http', 2);
    const finer = (): string[] => server.asked.filter((asked) => /^poll.*coarse/.test(asked));
    await until('a poll for more', () => finer().length === 1);
    expect(finer()[0]).toMatch(/coarse=1&limit=1000$/);
    await new Promise((next) => setTimeout(next, 300));
    expect(finer()).toHaveLength(1);
  });

  it('says so where it comes back with curves of few points, whichever way they came', async () => {
    server.faults = { coarse: true, brief: true, socketsBlocked: true };
    server.append(2);
    const stream = follow();
    await reached(stream, 'http', 2);
    server.faults = {};
    stream.close();
    stream.start();
    await until('a WebSocket', () => server.asked.some((asked) => /^ws\?.*&after=2&coarse=1/.test(asked)));
  });

  it('takes over where sockets are blocked, and gives back once they are not, without a gap', async () => {
    server.faults.socketsBlocked = true;
    server.append(2);
    const stream = follow();
    await reached(stream, 'http', 2);
    expect(stream.view.link.reason).toBe('WebSocket is blocked here');
    server.append(2);
    await reached(stream, 'http', 4);
    server.faults = {};
    server.append(1);
    await reached(stream, 'websocket', 5);
    expectWhole(stream);
    await until('polling ends', () => server.connections === 1);
    const polls = server.count('poll');
    server.append(1);
    await reached(stream, 'websocket', 6);
    expect(server.count('poll')).toBe(polls);
  });

  it('takes over where a socket opens, but no welcome comes', async () => {
    server.faults.socketsMute = true;
    server.append(2);
    const stream = follow();
    await reached(stream, 'http', 2);
    expect(stream.view.link.reason).toMatch(/gave no answer/);
  });

  it('keeps delivering while a better transport has only said welcome', async () => {
    server.faults = { socketsBlocked: true };
    server.append(2);
    const stream = follow();
    await reached(stream, 'http', 2);
    server.faults = { socketsSilent: true };
    await until('a socket', () => server.count('ping') > 0);
    server.append(2);
    await reached(stream, 'http', 4);
    server.faults = {};
    await reached(stream, 'websocket', 4);
    expectWhole(stream);
  });

  it('polls plainly where polls that wait are cut off', async () => {
    server.faults = { socketsBlocked: true, longPollsCut: true };
    server.append(1);
    const stream = follow();
    await reached(stream, 'http', 1);
    const long = server.count('poll?protocol=1&epoch=e1&after=1&wait');
    server.append(1);
    await reached(stream, 'http', 2);
    await until('more polls', () => server.count('poll?protocol=1&epoch=e1&after=2') > 3);
    expect(server.asked.filter((asked) => asked.includes('wait=')).length).toBeLessThanOrEqual(Math.max(1, long));
  });

  it('believes nothing of a socket that has not said which store it is of', async () => {
    server.faults.socketsNameless = true;
    server.append(2);
    const stream = follow({ settings: { welcomeTimeoutMs: 100 } });
    await until('offline or polling', () => stream.view.link.transport !== null);
    expect(stream.view.link.transport).toBe('http');
  });

  it('comes back as soon after the tenth interruption as after the first', async () => {
    server.faults = { closeCode: 4503 };
    server.append(1);
    const stream = follow({ settings: { backoffBaseMs: 40, backoffCapMs: 60_000 }, random: () => 1 });
    const began = Date.now();
    for (let round = 0; round < 8; round += 1) {
      await until('polling', () => stream.view.link.transport === 'http');
      server.faults.pollStatus = 503;
      server.append(1);
      await until('an interruption', () => stream.view.link.transport === null);
      delete server.faults.pollStatus;
    }
    await reached(stream, 'http', log.top);
    // 80 ms each; a back-off that had forgotten no failure would be at 10 s by now.
    expect(Date.now() - began).toBeLessThan(4_000);
  });

  it('does not knock again where the WebSocket was refused for good', async () => {
    server.faults.closeCode = 4503;
    server.append(1);
    const stream = follow();
    await reached(stream, 'http', 1);
    expect(stream.view.link.reason).toBe('the server refused the WebSocket (4503)');
    server.faults = {};
    await new Promise((later) => setTimeout(later, 300));
    expect(server.count('ws')).toBe(1);
    expect(stream.view.link.transport).toBe('http');
  });
});

describe('through the kernel', () => {
  it('subscribes at once where no server is known', async () => {
    log.append(2);
    const stream = follow({ server: null, comm: kernel });
    await reached(stream, 'comm', 2);
    expect(stream.view.link.reason).toBe('no server with forge-widgets is known here');
    expect(kernel.said).toEqual([{ type: 'subscribe', epoch: '', after: 0 }]);
    log.append(2);
    kernel.push();
    await reached(stream, 'comm', 4);
    expectWhole(stream);
  });

  it('is taken where the server keeps another store, and left once it keeps ours', async () => {
    server.storeId = 'store-2';
    log.append(2);
    const stream = follow({ comm: kernel });
    await reached(stream, 'comm', 2);
    expect(stream.view.link.reason).toBe('this server keeps another store');
    server.storeId = 'store-1';
    await reached(stream, 'websocket', 2);
    expect(kernel.types).toEqual(['subscribe', 'unsubscribe']);
  });

  it('is not there to help without a comm, and the view says why', async () => {
    server.storeId = 'store-2';
    const stream = follow();
    await until('offline', () => stream.view.link.offlineSince !== null);
    expect(stream.view.link.reason).toBe('this server keeps another store');
    expect(stream.view.loaded).toBe(false);
    // Both ways lead to the same store: one answer is enough.
    expect(server.requested).toBe(0);
  });

  it('is taken where neither sockets nor polls get through, from the cursor on', async () => {
    server.append(3);
    const stream = follow({ comm: kernel });
    await reached(stream, 'websocket', 3);
    server.faults = { socketsBlocked: true, pollStatus: 502 };
    server.closeSockets(1012);
    log.append(2);
    await reached(stream, 'comm', 5);
    expect(stream.view.link.reason).toBe('the server is in trouble (502)');
    expect(kernel.said.at(-1)).toEqual({ type: 'subscribe', epoch: 'e1', after: 3 });
    server.faults = {};
    await reached(stream, 'websocket', 5);
    expectWhole(stream);
  });

  it('shows what the kernel pushes unasked until the server delivers, and nothing of it after', async () => {
    log.append(4);
    server.faults.socketsMute = true;
    const stream = follow({ comm: kernel });
    kernel.pushKey();
    await reached(stream, 'comm', 4);
    expect(kernel.said).toEqual([]);
    await reached(stream, 'http', 4);
    expect(kernel.types).toEqual(['unsubscribe']);
    kernel.tell(keyMessage('e1', 2));
    kernel.tell(keyMessage('e9', 90, { rows: 90 }));
    server.append(1);
    await reached(stream, 'http', 5);
    expect(stream.view.state).toEqual(log.state);
  });

  it('says when the kernel is silent, too', async () => {
    const stream = follow({ server: null, comm: kernel, settings: { heartbeatMs: 20, welcomeTimeoutMs: 50 } });
    await until('offline', () => stream.view.link.offlineSince !== null);
    expect(stream.view.link.reason).toBe('the kernel is silent');
    log.append(1);
    kernel.pushKey();
    await reached(stream, 'comm', 1);
  });
});

describe('a storm', () => {
  it.each([1, 2, 3])('of faults loses and repeats nothing (seed %i)', async (seed) => {
    const random = seeded(seed);
    const stream = follow({ comm: kernel, random, settings: { welcomeTimeoutMs: 60 } });
    for (let round = 0; round < 25; round += 1) {
      const fault = Math.floor(random() * 6);
      server.faults = {
        socketsBlocked: fault === 1,
        socketsMute: fault === 2,
        loseFrame: fault === 3,
        longPollsCut: fault === 4,
        ...(fault === 1 && random() < 0.5 ? { pollStatus: 503 } : {}),
      };
      if (random() < 0.3) server.closeSockets(1012);
      server.append(1 + Math.floor(random() * 4));
      kernel.push();
      await new Promise((later) => setTimeout(later, random() * 40));
    }
    server.faults = {};
    await reached(stream, 'websocket', log.top);
    expectWhole(stream);
  });
});
