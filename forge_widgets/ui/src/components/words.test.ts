import { describe, expect, it } from 'vitest';

import { betterWay, curveNames, metricText, tileNames } from './metricwords';
import { modelColour, modelDashes, PALETTE_SIZE } from './palette';
import { metric, RUNNING, viewOf } from './testing';
import { agoWords, leftWords, linkWords, paceWords, placeWords, sentence } from './words';

describe('placeWords', () => {
  it('says model and step', () => {
    expect(placeWords(viewOf(RUNNING).state)).toBe('model 2 of 3 · step 450 of 1,000');
  });

  it('says nothing that was not recorded', () => {
    expect(placeWords(viewOf({ ...RUNNING, metrics: { loss: metric(1) } }).state)).toBe('');
    expect(placeWords(viewOf({ ...RUNNING, metrics: { currentStep: metric(3) } }).state)).toBe('step 3');
  });

  it('names a later attempt', () => {
    expect(placeWords(viewOf({ ...RUNNING, attempt: 2 }).state)).toMatch(/^attempt 2 · model/);
  });
});

it('says how long it takes with its range, in one unit where it can', () => {
  expect(leftWords({ stepsPerSecond: 1, seconds: 720, low: 600, high: 1020 })).toBe('~ 12 min (10–17 min)');
  expect(leftWords({ stepsPerSecond: 1, seconds: 60, low: 50, high: 70 })).toBe('~ 1 min (50 s–1 min)');
  expect(leftWords({ stepsPerSecond: 1, seconds: 3600, low: 3600, high: 4320 })).toBe('~ 1 h (1 h–1 h 12 min)');
  expect(leftWords({ stepsPerSecond: 1, seconds: 60, low: 60, high: 61 })).toBe('~ 1 min');
});

it.each([
  [41.2, '41 steps/s'],
  [1234, '1,234 steps/s'],
  [3.21, '3.2 steps/s'],
  [0.25, '4.0 s/step'],
])('says a pace of %d as %s', (pace, words) => {
  expect(paceWords(pace)).toBe(words);
});

it.each([
  [0.4, 'now'],
  [5, '5 s ago'],
  [59.9, '59 s ago'],
  [7200, '2 h ago'],
])('says %d s ago as %s', (seconds, words) => {
  expect(agoWords(seconds)).toBe(words);
});

it('has its own words for every way of reaching a session, and says why', () => {
  const links = [
    { transport: 'websocket', reason: '', offlineSince: null },
    { transport: 'http', reason: 'the WebSocket was refused', offlineSince: null },
    { transport: 'comm', reason: 'this server keeps another store', offlineSince: null },
    { transport: null, reason: '', offlineSince: null },
    { transport: null, reason: 'no answer', offlineSince: 1 },
  ] as const;
  const words = links.map(linkWords);
  expect(new Set(words.map(({ label }) => label)).size).toBe(links.length);
  expect(words[2]?.explanation).toBe('The kernel sends what is new. This server keeps another store.');
});

it('makes a sentence of a reason', () => {
  expect(sentence('no answer')).toBe('No answer.');
  expect(sentence('Gone…')).toBe('Gone…');
  expect(sentence(' ')).toBe('');
});

describe('metrics in words', () => {
  it('keeps the four, then the user’s own, then the learning rate, and no coordinates', () => {
    expect(tileNames(['learningRate', 'f1', 'currentStep', 'loss'])).toEqual([
      ...['loss', 'perplexity', 'accuracy', 'grokProgress', 'f1', 'learningRate'],
    ]);
    expect(curveNames(['f1', 'accuracy', 'totalModels', 'a'])).toEqual(['accuracy', 'a', 'f1']);
  });

  it('writes values', () => {
    expect(metricText('grokProgress', 45)).toBe('45 %');
    expect(metricText('loss', 0.18444)).toBe('0.1844');
    expect(metricText('loss', NaN)).toBe('NaN');
    expect(metricText('loss', undefined)).toBe('–');
  });

  it('knows which way is better only where the name tells', () => {
    expect(betterWay('val_loss')).toBe('lower');
    expect(betterWay('accuracy')).toBe('higher');
    expect(betterWay('test_f1')).toBe('higher');
    expect(betterWay('grad_norm')).toBeNull();
    expect(betterWay('temperature')).toBeNull();
  });
});

it('tells models of the same colour apart by their dashes', () => {
  const looks = Array.from({ length: 4 * PALETTE_SIZE }, (_, index) => `${JSON.stringify(modelColour(index + 1))} ${modelDashes(index + 1) ?? ''}`);
  expect(new Set(looks).size).toBe(looks.length);
});
