// The lens on a stream: what it asks a server for and when, and that live rows go on after whatever was answered.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { CursorClient } from './cursor';
import { Lens } from './lens';
import type { LensSource } from './lens';
import type { Frame } from './messages';
import type { Series } from './series';
import { keyMessage, parsedFrame, rowsMessage } from './testing';
import type { Json } from './testing';
import type { Link, ServerAccess } from './transport';
import type { SessionView } from './view';

const SOCKET: Link = { transport: 'websocket', reason: '', offlineSince: null };

/** A stream that is fed frames: the row at offset n has step n and loss 1/n. */
class TestSource implements LensSource {
  readonly followers = new Set<(frame: Frame) => void>();
  readonly #client = new CursorClient();
  link = SOCKET;

  get view(): SessionView {
    const { state, series, coarse, trimmed, gap, cursor } = this.#client;
    const rest = { unsaved: 0, unsavedReason: '', loaded: true, deleted: false, clockOffset: 0, version: 1 };
    return { ...rest, sessionId: 'a session', epoch: cursor?.epoch ?? '', state, series, coarse, trimmed, gap, link: this.link };
  }

  get series(): Series {
    return this.#client.series;
  }

  onApplied(follower: (frame: Frame) => void): () => void {
    this.followers.add(follower);
    return () => this.followers.delete(follower);
  }

  take(message: Json): void {
    const frame = parsedFrame(message);
    if (this.#client.take(frame) === 'applied') for (const follower of this.followers) follower(frame);
  }

  /** A key frame of all rows, with every so manieth of them in its curve; then it goes on with some more. */
  open(rows: number, frame: Json = {}): void {
    const steps = Array.from({ length: Math.min(rows, 400) }, (_, index) => 1 + Math.floor((index * rows) / Math.min(rows, 400)));
    const series = [{ metric: 'loss', model: 1, steps, values: steps.map((step) => 1 / step) }];
    this.take(keyMessage('e', rows, { attempt: 1, rows }, { series, ...frame }));
  }

  grow(from: number, to: number): void {
    this.take(rowsMessage('e', from, to));
  }
}

interface Asked {
  readonly path: string;
  readonly query: Record<string, string>;
  readonly signal: AbortSignal;
  readonly answer: (response: Response) => void;
}

/** A server that answers when it is told to, with the curve of a log as it was when it was asked. */
class TestServer implements ServerAccess {
  readonly asked: Asked[] = [];
  top = 0;

  socketUrl(): string {
    throw new Error('no socket is opened here');
  }

  request(path: string, { query = {}, signal }: RequestInit & { query?: Record<string, string> } = {}): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (!signal) throw new Error('it can’t be given up');
      signal.addEventListener('abort', () => { reject(new Error('aborted')); });
      this.asked.push({ path, query, signal, answer: resolve });
    });
  }

  /** Answer what was asked last; every so manieth row where there are more than were asked for. */
  async answer(fields: Json = {}, status = 200): Promise<void> {
    const { query, answer } = this.last;
    const [from, to] = [Math.max(1, Number(query['from_step'] ?? 1)), Math.min(this.top, Number(query['to_step'] ?? this.top))];
    const rows = Math.max(0, to - from + 1);
    const count = Math.min(rows, Number(query['max_points']));
    const steps = Array.from({ length: count }, (_, index) => from + Math.floor((index * rows) / count));
    const series = [{ metric: 'loss', model: 1, steps, values: steps.map((step) => 1 / step), rows }];
    answer(new Response(JSON.stringify({ epoch: 'e', top: this.top, attempt: 1, series, ...fields }), { status }));
    await vi.advanceTimersByTimeAsync(0);
  }

  get last(): Asked {
    const last = this.asked.at(-1);
    if (last === undefined) throw new Error('nothing was asked');
    return last;
  }
}

let source: TestSource;
let server: TestServer;
let lens: Lens;
let told: number;

beforeEach(() => {
  vi.useFakeTimers();
  [source, server] = [new TestSource(), new TestServer()];
  lens = new Lens(source, server);
  told = 0;
  lens.onFiner = () => { told += 1; };
});

afterEach(() => {
  lens.close();
  expect(source.followers.size).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

/** Open a session of so many rows, and have the whole of it answered. */
async function opened(rows: number): Promise<void> {
  source.open(rows);
  server.top = rows;
  lens.look('loss');
  await settled();
  await server.answer();
}

async function settled(): Promise<void> {
  await vi.advanceTimersByTimeAsync(150);
}

function steps(range?: { from: number; to: number }): readonly number[] {
  return lens.lines('loss', range).flatMap((line) => line.steps);
}

describe('on opening', () => {
  it('asks nothing where the stream holds every row', async () => {
    source.open(300);
    lens.look('loss');
    await settled();
    expect(server.asked).toEqual([]);
    expect(steps().length).toBe(300);
  });

  it('asks for the whole of a long session, and shows what is there until that comes', async () => {
    source.open(10_000);
    server.top = 10_000;
    lens.look('loss');
    expect(steps().length).toBe(400);
    await settled();
    expect(server.asked.map(({ path, query }) => [path, query])).toEqual([
      ['api/sessions/a%20session/series', { metrics: 'loss', max_points: '2000' }],
    ]);
    await server.answer();
    expect(told).toBe(1);
    expect(steps().length).toBeGreaterThan(1_999);
    expect(steps()).toEqual([...new Set(steps())].sort((one, other) => one - other));
    lens.look('loss');
    await settled();
    expect(server.asked.length).toBe(1);
  });

  it('quotes what a metric is called', async () => {
    source.open(10_000);
    lens.look('a,b');
    await settled();
    expect(server.last.query['metrics']).toBe('a%2Cb');
  });

  it('asks nothing of a kernel, nor while it is offline', async () => {
    source.open(10_000);
    for (const transport of ['comm', null] as const) {
      source.link = { ...SOCKET, transport };
      lens.look('loss');
      await settled();
    }
    expect(server.asked).toEqual([]);
  });

  it('leaves a slow link alone until somebody zooms', async () => {
    source.open(10_000, { coarse: true });
    lens.look('loss');
    await settled();
    expect(server.asked).toEqual([]);
    lens.look('loss', { from: 100, to: 200 });
    await settled();
    expect(server.asked.length).toBe(1);
  });

  it('asks nothing for a page that nobody sees', async () => {
    source.open(10_000);
    vi.spyOn(document, 'hidden', 'get').mockReturnValue(true);
    lens.look('loss');
    await settled();
    expect(server.asked).toEqual([]);
    vi.restoreAllMocks();
    lens.look('loss');
    lens.rest();
    await settled();
    expect(server.asked).toEqual([]);
    lens.look('loss');
    await settled();
    expect(server.asked.length).toBe(1);
  });
});

describe('live rows', () => {
  it('go on after an answer, be they in it already or not', async () => {
    source.open(1_500);
    server.top = 1_500;
    lens.look('loss');
    source.grow(1_501, 1_510);
    await settled();
    source.grow(1_511, 1_520);
    // It was answered after more had been recorded than came until now.
    server.top = 1_530;
    await server.answer();
    expect(steps()).toEqual(Array.from({ length: 1_530 }, (_, index) => index + 1));
    source.grow(1_521, 1_540);
    source.grow(1_541, 1_550);
    expect(steps()).toEqual(Array.from({ length: 1_550 }, (_, index) => index + 1));
  });

  it('go on after an answer that was overtaken', async () => {
    source.open(1_500);
    server.top = 1_500;
    lens.look('loss');
    await settled();
    source.grow(1_501, 1_520);
    await server.answer();
    expect(steps()).toEqual(Array.from({ length: 1_520 }, (_, index) => index + 1));
  });

  it('have the whole asked for again once they are more than what was answered', async () => {
    await opened(3_000);
    source.grow(3_001, 6_000);
    lens.look('loss');
    await settled();
    expect(server.asked.length).toBe(1);
    source.grow(6_001, 6_001);
    lens.look('loss');
    await settled();
    expect(server.asked.length).toBe(2);
  });

  it.each([
    { rows: 500, ending: { eventType: 'phase_completed', name: 'training_complete' }, again: 1 },
    { rows: 500, ending: { eventType: 'training_error', error: 'out of memory' }, again: 1 },
    { rows: 500, ending: { eventType: 'connection_lost' }, again: 1 },
    { rows: 500, ending: { eventType: 'phase_completed', name: 'warmup' }, again: 0 },
    // They are all there.
    { rows: 400, ending: { eventType: 'phase_completed', name: 'training_complete' }, again: 0 },
  ])('are asked for as finely as the rest once no more is to come: $rows rows, then $ending', async ({ rows, ending, again }) => {
    await opened(3_000);
    source.grow(3_001, 3_000 + rows);
    lens.look('loss');
    await settled();
    expect(server.asked.length).toBe(1);
    const offset = 3_001 + rows;
    const event = { timestamp: 1000 + offset, metrics: {}, ...ending };
    const records = [{ offset, attempt: 1, producer: 'p', sequence: offset, event }];
    source.take({ ...rowsMessage('e', offset, offset), records });
    server.top = offset - 1;
    lens.look('loss');
    await settled();
    expect(server.asked.length).toBe(1 + again);
    if (again > 0) await server.answer();
    lens.look('loss');
    await settled();
    expect(server.asked.length).toBe(1 + again);
  });

  it('of another attempt end what was answered', async () => {
    await opened(3_000);
    source.take(rowsMessage('e', 3_001, 3_010, 2));
    expect(steps().length).toBe(10);
  });
});

describe('on zooming', () => {
  const NEAR = { from: 4_000, to: 5_000 };

  it('shows what is there, and what was asked for once that comes', async () => {
    await opened(10_000);
    lens.look('loss', NEAR);
    const before = steps();
    expect(steps(NEAR)).toEqual(before);
    await settled();
    expect(server.last.query).toEqual({ metrics: 'loss', max_points: '2400', from_step: '3900', to_step: '5100' });
    await server.answer();
    const within = steps(NEAR).filter((step) => step >= NEAR.from && step <= NEAR.to);
    expect(within).toEqual(Array.from({ length: 1_001 }, (_, index) => 4_000 + index));
    expect([steps(NEAR)[0], steps(NEAR).at(-1)]).toEqual([steps()[0], steps().at(-1)]);
    expect(steps()).toEqual(before);
  });

  it('asks once for a range that is being chosen, and leaves what nobody wants any more', async () => {
    await opened(10_000);
    for (let from = 1_000; from < 4_000; from += 500) {
      lens.look('loss', { from, to: from + 1_000 });
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(server.asked.length).toBe(1);
    await settled();
    expect(server.asked.length).toBe(2);
    expect(server.last.query['from_step']).toBe('3400');
    const { signal } = server.last;
    lens.look('loss', { from: 100, to: 200 });
    expect(signal.aborted).toBe(true);
    await settled();
    expect(server.asked.length).toBe(3);
    lens.look('loss');
    expect(server.last.signal.aborted).toBe(true);
  });

  it('knows the last few ranges, and one that lies within them closely enough', async () => {
    await opened(1_000_000);
    const ranges = [1, 2, 3].map((at) => ({ from: at * 100_000, to: at * 100_000 + 10_000 }));
    for (const range of ranges) {
      lens.look('loss', range);
      await settled();
      await server.answer();
    }
    for (const range of ranges) {
      lens.look('loss', { from: range.from + 500, to: range.to + 500 });
      await settled();
    }
    expect(server.asked.length).toBe(4);
    lens.look('loss', { from: 100_000, to: 101_000 });
    await settled();
    expect(server.asked.length).toBe(5);
  });

  it('shows what it has of a range beside the one that it knows', async () => {
    await opened(100_000);
    lens.look('loss', NEAR);
    await settled();
    await server.answer();
    const beside = { from: 4_900, to: 5_900 };
    expect(steps(beside).filter((step) => step >= 4_900 && step <= 5_100).length).toBe(201);
  });

  it('asks for nothing finer than every row', async () => {
    source.open(10_000);
    server.top = 1_000;
    lens.look('loss');
    await settled();
    // A metric that few of the rows have.
    await server.answer();
    lens.look('loss', { from: 100, to: 120 });
    await settled();
    expect(server.asked.length).toBe(1);
  });

  it('follows the newest steps without asking for each of them', async () => {
    await opened(10_000);
    lens.look('loss', { from: 9_000, to: Infinity });
    await settled();
    expect(server.last.query).toEqual({ metrics: 'loss', max_points: '2400', from_step: '9000' });
    await server.answer();
    for (let top = 10_000; top < 10_500; top += 50) {
      source.grow(top + 1, top + 50);
      lens.look('loss', { from: top + 50 - 1_000, to: Infinity });
      await vi.advanceTimersByTimeAsync(50);
    }
    expect(server.asked.length).toBe(2);
    const newest = steps({ from: 9_500, to: Infinity }).filter((step) => step >= 9_500);
    expect(newest[0]).toBe(9_500);
    expect(newest.at(-1)).toBe(10_500);
  });

  it('holds still while the steps that it was asked for are followed', async () => {
    await opened(10_000);
    for (let from = 9_000; from < 9_020; from += 1) {
      lens.look('loss', { from, to: Infinity });
      await vi.advanceTimersByTimeAsync(20);
    }
    expect(server.asked.length).toBe(2);
  });
});

describe('without an answer', () => {
  it.each([
    ['a refusal', {}, 404],
    ['a curve of another log', { epoch: 'other' }, 200],
    ['a curve of another attempt', { attempt: 2 }, 200],
    ['what is no curve', { series: 'none' }, 200],
  ])('%s is waited after, and what is there is shown', async (_, fields, status) => {
    source.open(10_000);
    lens.look('loss');
    await settled();
    await server.answer(fields, status);
    expect([told, steps().length]).toEqual([0, 400]);
    lens.look('loss');
    await settled();
    expect(server.asked.length).toBe(1);
    await vi.advanceTimersByTimeAsync(10_000);
    lens.look('loss');
    await settled();
    expect(server.asked.length).toBe(2);
  });

  it('nobody waits longer than half a minute', async () => {
    source.open(10_000);
    lens.look('loss');
    await settled();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(server.last.signal.aborted).toBe(true);
    expect(told).toBe(0);
  });

  it('a log that was deleted in the meantime shows nothing of the old one', async () => {
    source.open(10_000);
    server.top = 10_000;
    lens.look('loss');
    await settled();
    source.take(keyMessage('f', 3, { attempt: 1, rows: 3 }));
    await server.answer();
    expect(told).toBe(0);
    expect(steps()).toEqual([]);
  });
});
