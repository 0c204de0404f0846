import type { KernelMessage } from '@jupyterlab/services';
import { expect, it } from 'vitest';

import { chartTraits } from './traits';

function said(data: object, type = 'comm_msg'): KernelMessage.IMessage {
  return { header: { msg_type: type }, content: { comm_id: 'w', data } } as unknown as KernelMessage.IMessage;
}

it('hears what a chart’s traits are set to', () => {
  const state = { metric: 'accuracy', log_y: true, _esm: '…' };
  expect(chartTraits(said({ method: 'update', state }), 'w')).toEqual({ metric: 'accuracy', logY: true });
  expect(chartTraits(said({ method: 'update', state: { log_y: false } }), 'w')).toEqual({ logY: false });
});

it('passes over everything else', () => {
  const update = { method: 'update', state: { metric: 'accuracy' } };
  expect(chartTraits(said(update), 'another')).toBeNull();
  expect(chartTraits(said(update, 'comm_open'), 'w')).toBeNull();
  expect(chartTraits(said({ method: 'custom', content: {} }), 'w')).toBeNull();
  for (const state of [undefined, null, 7, {}, { metric: 7, log_y: 'yes' }]) {
    expect(chartTraits(said({ method: 'update', state }), 'w')).toBeNull();
  }
});
