// A widget's model as anywidget hands it over, with a kernel behind it. Imported by tests alone.
import type { AnyModel } from '@anywidget/types';

import type { SessionTraits } from './model';

type Heard = (...args: never[]) => void;

/** Traits, listeners, and what was sent to the kernel. */
export class TestModel<T extends SessionTraits> {
  readonly listeners = new Map<string, Set<Heard>>();
  readonly sent: Record<string, unknown>[] = [];
  traits: T;

  constructor(traits: T) {
    this.traits = traits;
  }

  /** How many listeners there are in all. */
  get listening(): number {
    return [...this.listeners.values()].reduce((sum, heard) => sum + heard.size, 0);
  }

  /** The model as the widget's script knows it. */
  get model(): AnyModel<T> {
    const model: Pick<AnyModel<T>, 'get' | 'on' | 'off' | 'send'> = {
      get: (name) => this.traits[name],
      on: (name: string, listener: Heard) => {
        this.listeners.set(name, (this.listeners.get(name) ?? new Set()).add(listener));
      },
      off: (name, listener) => {
        this.listeners.get(String(name))?.delete(listener as Heard);
      },
      send: (message: Record<string, unknown>) => {
        this.sent.push(message);
      },
    };
    return model as AnyModel<T>;
  }

  /** Let the kernel say something. */
  tell(message: unknown, buffers: readonly DataView[] = []): void {
    for (const heard of this.listeners.get('msg:custom') ?? []) (heard as (...said: unknown[]) => void)(message, buffers);
  }

  /** Let Python set traits. */
  set(traits: Partial<T>): void {
    this.traits = { ...this.traits, ...traits };
    for (const name of Object.keys(traits)) {
      for (const heard of this.listeners.get(`change:${name}`) ?? []) heard();
    }
  }
}
