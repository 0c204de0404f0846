import type { ISessionContext } from '@jupyterlab/apputils';
import { Kernel, KernelMessage } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';
import { expect, it } from 'vitest';

import { customMessage, KernelChannel } from './kernel';

function said(data: object, commId = 'w'): KernelMessage.IMessage {
  return { header: { msg_type: 'comm_msg' }, content: { comm_id: commId, data } } as unknown as KernelMessage.IMessage;
}

/** A notebook's session as the channel knows it, whose kernel keeps what it is sent. */
class Notebook {
  readonly iopubMessage = new Signal<Notebook, KernelMessage.IMessage>(this);
  readonly connectionStatusChanged = new Signal<Notebook, Kernel.ConnectionStatus>(this);
  readonly sent: KernelMessage.IShellMessage[] = [];
  readonly kernel = {
    connectionStatus: 'connecting',
    status: 'busy',
    clientId: 'c',
    username: '',
    isDisposed: false,
    supportsSubshells: true,
    commsOverSubshells: 'perCommTarget',
    requestCreateSubshell: () => ({ done: Promise.resolve({ content: { subshell_id: 'sub' } }) }),
    requestDeleteSubshell: ({ subshell_id: id }: { subshell_id: string }) => this.deleted.push(id),
    sendShellMessage: (message: KernelMessage.IShellMessage) => this.sent.push(message),
  };
  readonly deleted: string[] = [];
  readonly session = { kernel: this.kernel };

  get context(): ISessionContext {
    return this as unknown as ISessionContext;
  }
}

it('hears the custom messages of its widget, and nothing else', () => {
  expect(customMessage(said({ method: 'custom', content: { type: 'welcome' } }), 'w')).toEqual({ type: 'welcome' });
  expect(customMessage(said({ method: 'custom', content: { type: 'welcome' } }, 'another'), 'w')).toBeNull();
  expect(customMessage(said({ method: 'update', state: {} }), 'w')).toBeNull();
  expect(customMessage(said({ method: 'custom' }), 'w')).toBeNull();
});

it('says when a kernel is there, and asks it on a subshell, since it may be busy', async () => {
  const [notebook, channel, heard] = [new Notebook(), new KernelChannel('w'), [] as unknown[]];
  channel.listen((message) => heard.push(message));
  channel.attach(notebook.context);
  expect(channel.alive).toBe(false);
  notebook.iopubMessage.emit(said({ method: 'custom', content: { type: 'welcome' } }));
  channel.send({ type: 'subscribe' });
  notebook.kernel.connectionStatus = 'connected';
  notebook.connectionStatusChanged.emit('connected');
  expect(channel.alive).toBe(true);
  expect(heard).toEqual([{ type: 'unsubscribed' }]);
  channel.send({ type: 'subscribe', epoch: '', after: 0 });
  await Promise.resolve();
  await new Promise((later) => setTimeout(later, 0));
  channel.send({ type: 'leave' });
  expect(notebook.sent.map(({ header, content }) => [header.subshell_id, content])).toEqual([
    ['sub', { comm_id: 'w', data: { method: 'custom', content: { type: 'subscribe', epoch: '', after: 0 } } }],
    [null, { comm_id: 'w', data: { method: 'custom', content: { type: 'leave' } } }],
  ]);
  channel.dispose();
  await new Promise((later) => setTimeout(later, 0));
  expect(notebook.deleted).toEqual(['sub']);
  notebook.iopubMessage.emit(said({ method: 'custom', content: { type: 'welcome' } }));
  expect(heard).toHaveLength(1);
});
