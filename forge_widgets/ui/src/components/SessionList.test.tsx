import { flushSync } from 'react-dom';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { SessionList } from './SessionList';
import { parseSessions, SessionsPoll } from './sessions';
import { NOW_S, rendered, type Rendered } from './testing';
import { until } from '../stream/testing';

/** A server that answers lists, as far as a poll asks for it. */
class ListServer {
  answer: unknown = { sessions: [], total: 0 };
  status = 200;
  asked = 0;
  aborted = 0;
  hanging = false;

  socketUrl(): string {
    throw new Error('a list needs no socket');
  }

  request(path: string, init: RequestInit = {}): Promise<Response> {
    this.asked += 1;
    expect(path).toBe('api/sessions');
    init.signal?.addEventListener('abort', () => (this.aborted += 1));
    if (this.hanging) return new Promise(() => undefined);
    return Promise.resolve(new Response(JSON.stringify(this.answer), { status: this.status }));
  }
}

const METRICS = { loss: 0.184, currentStep: 450, totalSteps: 1000, currentModel: 2, totalModels: 3 };

function row(sessionId: string, status: string, agoS: number, more: object = {}): object {
  const lastUpdate = new Date((NOW_S - agoS) * 1000).toISOString();
  const recorded = Object.keys(METRICS);
  const known = { metrics: METRICS, recorded, progress: 1450 / 3000, secondsLeft: 720, lost: false, error: '' };
  return { sessionId, status, lastUpdate, ...known, ...more };
}

let server = new ListServer();
let poll = new SessionsPoll(server);
let shown: Rendered | null = null;

async function show(answer: unknown, onOpen: (id: string) => void = () => undefined): Promise<HTMLElement> {
  server.answer = answer;
  poll.start();
  await until('an answer', () => poll.view().loaded || poll.view().problem !== '');
  shown = rendered(<SessionList poll={poll} onOpen={onOpen} selected="b" />);
  return shown.host;
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW_S * 1000, toFake: ['Date'] });
  server = new ListServer();
  poll = new SessionsPoll(server);
});

afterEach(() => {
  poll.stop();
  shown?.unmount();
  shown = null;
  vi.useRealTimers();
});

it('groups sessions by whether they run and when they did', async () => {
  const host = await show({
    sessions: [
      row('a', 'running', 1),
      row('b', 'paused', 5),
      row('c', 'running', 60, { lost: true }),
      row('d', 'error', 7200, { error: 'CUDA out of memory\nTraceback' }),
      row('e', 'completed', 3 * 86_400),
    ],
  });
  const groups = [...host.querySelectorAll('section')].map((group) => [
    group.getAttribute('aria-label'),
    [...group.querySelectorAll('.forge-row-name')].map(({ textContent }) => textContent),
  ]);
  expect(groups).toEqual([
    ['Running', ['a', 'b']],
    ['Recent', ['c', 'd']],
    ['Older', ['e']],
  ]);
  const words = [...host.querySelectorAll('.forge-row')].map(({ textContent }) => textContent);
  expect(words[0]).toBe('a48 %12 minmodel 2/3 · loss 0.184');
  expect(words[1]).toContain('paused');
  expect(words[2]).toContain('connection lost');
  expect(words[3]).toBe('d2 h agoerror · CUDA out of memory');
  expect(words[4]).toContain('3 d ago');
});

it('says whose steps do not come as usual, and promises no time to a run that stands still', async () => {
  const host = await show({ sessions: [row('a', 'running', 300, { standing: 'stalled' }), row('b', 'running', 8, { standing: 'slow' })] });
  const [stalled, slow] = host.querySelectorAll('.forge-row');
  expect(stalled?.querySelector('.forge-row-time')?.textContent).toBe('5 min ago');
  expect(stalled?.querySelector('.forge-row-detail')?.textContent).toBe('stalled · model 2/3 · loss 0.184');
  expect(slow?.querySelector('.forge-row-time')?.textContent).toBe('12 min');
  expect(slow?.querySelector('.forge-row-detail')?.textContent).toContain('slow · ');
});

it('opens a session by its button, and marks the one that is open', async () => {
  const opened: string[] = [];
  const host = await show({ sessions: [row('a', 'running', 1), row('b', 'running', 1)] }, (id) => opened.push(id));
  const buttons = [...host.querySelectorAll('button')];
  buttons[0]?.click();
  expect(opened).toEqual(['a']);
  expect(buttons.map((button) => button.getAttribute('aria-current'))).toEqual(['false', 'true']);
});

it('shows four lines of code where there is nothing yet, and a demo only where the host has one', async () => {
  const host = await show({ sessions: [] });
  expect(host.querySelector('pre')?.textContent.split('\n').length).toBe(4);
  expect(host.textContent).not.toContain('demo');
  let demos = 0;
  const other = rendered(<SessionList poll={poll} onOpen={() => undefined} onDemo={() => (demos += 1)} />);
  [...other.host.querySelectorAll('button')].find(({ textContent }) => textContent === 'Run a demo')?.click();
  expect(demos).toBe(1);
  other.unmount();
});

it('says why there is no list, and keeps the one it had', async () => {
  const host = await show({ sessions: [row('a', 'running', 1)] });
  server.status = 503;
  await until('a problem', () => poll.view().problem !== '');
  flushSync(() => undefined);
  expect(host.textContent).toContain('The server answered 503.');
  expect(host.textContent).toContain('model 2/3');
});

it('says in words of its own that nothing answers', async () => {
  const host = await show({ sessions: [row('a', 'running', 1)] });
  server.request = () => Promise.reject(new TypeError('Failed to fetch'));
  await until('a problem', () => poll.view().problem !== '');
  flushSync(() => undefined);
  expect(host.textContent).toContain('The server can’t be reached. Trying again.');
});

it('collects a session’s losses while it looks', async () => {
  await show({ sessions: [row('a', 'running', 1)] });
  server.answer = { sessions: [row('a', 'running', 1, { metrics: { ...METRICS, loss: 0.1 } })] };
  await until('another loss', () => poll.view().sessions[0]?.losses.length === 2);
  expect(poll.view().sessions[0]?.losses).toEqual([0.184, 0.1]);
});

it('tells nobody when nothing changed', async () => {
  await show({ sessions: [row('a', 'running', 1)] });
  const before = poll.view();
  const asked = server.asked;
  await until('two more answers', () => server.asked >= asked + 2);
  expect(poll.view()).toBe(before);
});

it('stops its request and its timer, a hundred times', () => {
  vi.useFakeTimers();
  server.hanging = true;
  for (let time = 0; time < 100; time += 1) {
    poll.start();
    poll.start();
    poll.stop();
  }
  expect(server.asked).toBe(100);
  expect(server.aborted).toBe(100);
  poll.stop();
  expect(server.asked).toBe(100);
});

it('passes over what is no session', () => {
  expect(parseSessions(null)).toEqual([]);
  expect(parseSessions({ sessions: 'none' })).toEqual([]);
  const [session] = parseSessions({ sessions: [1, { sessionId: 7 }, { sessionId: 'a', metrics: { loss: null } }] });
  expect(session).toMatchObject({ sessionId: 'a', status: 'waiting', updatedAt: 0, lost: false });
  expect(session?.metrics['loss']).toBeNaN();
});
