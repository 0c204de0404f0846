import { describe, expect, it } from 'vitest';

import { checkSessionId, placeOf } from './place';

const PAGE = 'https://page.example/app/index.html';

describe('placeOf', () => {
  it.each([
    ['ws://localhost:8001', 'http://localhost:8001/', 'ws://localhost:8001/'],
    ['ws://localhost:8001/', 'http://localhost:8001/', 'ws://localhost:8001/'],
    ['http://localhost:8001', 'http://localhost:8001/', 'ws://localhost:8001/'],
    ['wss://hub.example/user/me/forge', 'https://hub.example/user/me/forge/', 'wss://hub.example/user/me/forge/'],
    ['https://hub.example/user/me/forge/?x=1#y', 'https://hub.example/user/me/forge/', 'wss://hub.example/user/me/forge/'],
    ['/forge', 'https://page.example/forge/', 'wss://page.example/forge/'],
    ['forge/', 'https://page.example/app/forge/', 'wss://page.example/app/forge/'],
    ['//other.example', 'https://other.example/', 'wss://other.example/'],
    ['ws://[::1]:8001', 'http://[::1]:8001/', 'ws://[::1]:8001/'],
  ])('reads %s', (written, url, socketUrl) => {
    expect(placeOf(written, '', PAGE)).toMatchObject({ url, socketUrl });
  });

  it.each(['localhost:8001', 'ftp://a.example', 'ws://', 'http://:80', 'javascript:0'])('says what is wrong with %s', (written) => {
    expect(() => placeOf(written, '', PAGE)).toThrow(`the websocketUrl “${written}” can't be used: expected an address such as ws://`);
  });

  it('takes the token of an address that a server has printed, and the option before it', () => {
    expect(placeOf('http://127.0.0.1:8001/?token=abc', '', PAGE)).toMatchObject({ url: 'http://127.0.0.1:8001/', token: 'abc' });
    expect(placeOf('http://127.0.0.1:8001/?token=abc', 'mine', PAGE).token).toBe('mine');
  });

  it('knows whose cookies are none of its business', () => {
    expect(placeOf('/forge', '', PAGE).foreign).toBe(false);
    expect(placeOf('wss://page.example/forge', '', PAGE).foreign).toBe(false);
    expect(placeOf('ws://page.example:81/forge', '', PAGE).foreign).toBe(true);
  });
});

it.each(['', '.', '..', 'a/b', 'a b', 'ä', 'x'.repeat(129)])('a session is not named %j', (sessionId) => {
  expect(() => { checkSessionId(sessionId); }).toThrow('expected 1 to 128 letters');
});
