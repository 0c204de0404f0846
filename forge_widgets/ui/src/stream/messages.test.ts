// What comes over the wire is typed or null: never half a message.
import { describe, expect, it } from 'vitest';

import { isFrame, parseMessage, parseText } from './messages';
import { keyMessage, parsedDelta, parsedKey, rowsMessage } from './testing';

describe('parseMessage', () => {
  it.each([
    null,
    undefined,
    7,
    'frame',
    [],
    {},
    { type: 'session_joined', metrics: {} },
    { type: 'welcome', protocol: 1, storeId: 'x', heartbeatSeconds: null, timestamp: 1 },
    { type: 'heartbeat', epoch: 'e', top: '7', unsaved: 0, reason: '', timestamp: 1 },
    { ...keyMessage('e', 1), to: 'NaN' },
    { ...keyMessage('e', 1), state: null },
    keyMessage('e', 1, { status: 'sleeping' }),
    keyMessage('e', 1, { metrics: { loss: [1] } }),
    keyMessage('e', 1, {}, { series: [{ metric: 'loss', model: 1, steps: [1, 2], values: [1] }] }),
    { ...rowsMessage('e', 1, 2), records: [{ offset: 1, attempt: 1, producer: 'p', sequence: 1 }] },
    { type: 'poll', protocol: 1, storeId: 's', frame: {}, heartbeat: {} },
  ])('passes over %j', (message) => {
    expect(parseMessage(message)).toBeNull();
  });

  it('reads numbers that are not finite by their names, and null as none', () => {
    const rows = { timestamps: [1, 2, 3], columns: { loss: ['NaN', null, '-Infinity'] }, thinned: 0 };
    const record = { offset: 1, attempt: 1, producer: 'p', sequence: 1, rows };
    const { records } = parsedDelta({ ...rowsMessage('e', 1, 3), records: [record] });
    expect(records[0]?.body).toMatchObject({ columns: new Map([['loss', [NaN, null, -Infinity]]]) });
    const { state } = parsedKey(keyMessage('e', 1, { metrics: { loss: ['Infinity', [1, 'p', 1]] } }));
    expect(state.metrics.get('loss')?.[0]).toBe(Infinity);
  });

  it('takes an event of a kind that it does not know for a remark', () => {
    const event = { eventType: 'checkpoint_saved', timestamp: 1, metrics: {} };
    const record = { offset: 1, attempt: 1, producer: 'p', sequence: 1, event };
    const { records } = parsedDelta({ ...rowsMessage('e', 1, 1), records: [record] });
    expect(records[0]?.body).toMatchObject({ eventType: 'annotation' });
  });

  it('keeps a metric that is called like a part of every object', () => {
    const metrics: unknown = JSON.parse('{"__proto__": [1, [1, "p", 1]]}');
    expect([...parsedKey(keyMessage('e', 1, { metrics })).state.metrics.keys()]).toEqual(['__proto__']);
  });
});

describe('parseText', () => {
  it('reads JSON text and nothing else', () => {
    expect(parseText('{"type": "pong", "timestamp": 1}')).toEqual({ type: 'pong' });
    expect(parseText('{"type":')).toBeNull();
    expect(parseText(new ArrayBuffer(2))).toBeNull();
  });

  it('tells a frame that can’t be read from a message that is none of ours', () => {
    expect(isFrame('{"type": "frame", "epoch": 7}')).toBe(true);
    expect(isFrame('{"type": "weather"}')).toBe(false);
  });
});
