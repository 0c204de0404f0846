import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { describe, expect, it } from 'vitest';

import { RUNNING, viewOf } from '../components/testing';
import { faceOf, noteOf } from './faces';
import { hasHistory, sameOutput, sessionOutput, SESSION_MIME, storedMime, WIDGET_MIME } from './output';

type Bundle = IRenderMime.IMimeModel['data'];

const LIVE: Bundle = {
  [SESSION_MIME]: { sessionId: 's', version: 1 },
  [WIDGET_MIME]: { model_id: 'm', version_major: 2, version_minor: 0 },
  'text/html': '<div></div>',
  'text/plain': 's: completed · step 50 of 50',
};
const NEW: Bundle = { ...LIVE, 'text/plain': 's: waiting · nothing recorded yet' };

function model(data: Bundle, trusted = true, metadata: Bundle = {}): IRenderMime.IMimeModel {
  return { data, metadata, trusted, setData: () => undefined };
}

const CONNECTING = viewOf({}, { loaded: false, link: { transport: null, reason: '', offlineSince: null } });
const FAILED = viewOf({}, { loaded: false, link: { transport: null, reason: 'this server keeps another store', offlineSince: null } });
const OFFLINE = viewOf(RUNNING, { link: { transport: null, reason: 'no answer', offlineSince: 1 } });

describe('what is shown of an output', () => {
  it('is the live view as soon as the server knows the session', () => {
    expect(faceOf(viewOf(RUNNING), model(LIVE), true)).toBe('live');
    expect(faceOf(viewOf(RUNNING), model(LIVE, false), false)).toBe('live');
  });

  it('stays live when the server goes away', () => {
    expect(faceOf(OFFLINE, model(LIVE), true)).toBe('live');
  });

  it('is what the notebook holds until the server has answered', () => {
    expect(faceOf(CONNECTING, model(LIVE), true)).toBe('stored');
    expect(faceOf(CONNECTING, model(NEW), true)).toBe('live');
  });

  it('is what the notebook holds where the session is unknown to the store', () => {
    expect(faceOf(viewOf({}), model(LIVE), true)).toBe('stored');
    expect(faceOf(viewOf({}), model(NEW), true)).toBe('live');
    expect(noteOf(viewOf({}))).toContain('no longer has cognate-7');
  });

  it('is the kernel’s widget where the server can’t be used, in a trusted notebook with a kernel', () => {
    expect(faceOf(FAILED, model(LIVE), true)).toBe('widget');
    expect(faceOf(FAILED, model(NEW), true)).toBe('widget');
    expect(faceOf(FAILED, model(LIVE), false)).toBe('stored');
    expect(faceOf(FAILED, model(LIVE, false), true)).toBe('stored');
    expect(faceOf(FAILED, model({ [SESSION_MIME]: { sessionId: 's' } }), true)).toBe('live');
    expect(noteOf(FAILED)).toBe('History only, as stored in the notebook. This server keeps another store.');
  });
});

describe('an output', () => {
  it('names its session and the store that it is in', () => {
    const metadata = { [SESSION_MIME]: { storeId: 'store-1', follow: true } };
    expect(sessionOutput(model(LIVE, true, metadata))).toEqual({ sessionId: 's', storeId: 'store-1', chart: null, followed: true });
    expect(sessionOutput(model(LIVE))).toEqual({ sessionId: 's', storeId: '', chart: null, followed: false });
  });

  it('may be a chart of one metric', () => {
    const shows = (fields: object): unknown => sessionOutput(model({ [SESSION_MIME]: { sessionId: 's', version: 1, ...fields } }))?.chart;
    expect(shows({ view: 'chart', metric: 'accuracy', logY: true })).toEqual({ metric: 'accuracy', logY: true });
    expect(shows({ view: 'chart', metric: 7, logY: 'yes' })).toEqual({ metric: 'loss', logY: false });
    expect(shows({ view: 'globe of a newer version' })).toBeNull();
  });

  it('is another as soon as it shows anything else', () => {
    const one = { sessionId: 's', storeId: 'a', chart: { metric: 'loss', logY: false }, followed: false };
    expect(sameOutput(one, { ...one, chart: { ...one.chart } })).toBe(true);
    for (const other of [null, { ...one, sessionId: 't' }, { ...one, storeId: 'b' }, { ...one, chart: null }]) {
      expect(sameOutput(one, other)).toBe(false);
    }
    expect(sameOutput(one, { ...one, chart: { metric: 'f1', logY: false } })).toBe(false);
    expect(sameOutput(one, { ...one, chart: { metric: 'loss', logY: true } })).toBe(false);
    expect(sameOutput(null, null)).toBe(true);
  });

  it.each([{}, { [SESSION_MIME]: 'x' }, { [SESSION_MIME]: null }, { [SESSION_MIME]: { sessionId: 7 } }])('may name none: %j', (data) => {
    expect(sessionOutput(model(data))).toBeNull();
  });

  it('has history where its plain line tells of any', () => {
    expect(hasHistory(model(LIVE))).toBe(true);
    expect(hasHistory(model(NEW))).toBe(false);
    expect(hasHistory(model({ ...NEW, 'text/plain': ['s: waiting · ', 'nothing recorded yet'] }))).toBe(false);
    expect(hasHistory(model({ 'text/plain': 's: completed' }))).toBe(false);
    expect(storedMime(model({ 'text/plain': 's: completed' }))).toBe('text/plain');
    expect(storedMime(model({}))).toBeNull();
  });
});
