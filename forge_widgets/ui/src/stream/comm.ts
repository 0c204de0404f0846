// Frames through the kernel: the lane of the widget's comm. It listens all the time, since the kernel pushes unasked; it
// subscribes when the stream wants it, and tells the kernel to be quiet once another transport has taken over.
import { parseMessage } from './messages';
import { Throttle } from './throttle';
import type { CommChannel, Demand, Failure, Lane, LaneContext } from './transport';

export class CommLane implements Lane {
  readonly transport = 'comm';
  readonly #channel: CommChannel;
  readonly #context: LaneContext;
  readonly #resuming: Throttle;
  readonly #stopListening: () => void;
  // What the kernel was told last; idle where it was told nothing and pushes a key frame now and then.
  #told: Demand = 'idle';
  #silent = false;
  // What it says can't be understood, until another kernel greets.
  #foreign = false;
  #lastReason = '';
  #heartbeatMs: number;
  #cancelDeadline: (() => void) | null = null;

  constructor(channel: CommChannel, context: LaneContext) {
    this.#channel = channel;
    this.#context = context;
    this.#heartbeatMs = context.settings.heartbeatMs;
    this.#resuming = new Throttle(context.clock, () => context.settings.resumeSpacingMs, () => { this.#subscribe(); });
    this.#stopListening = channel.listen((message) => { this.#hear(message); });
  }

  get reason(): string {
    return this.#lastReason;
  }

  get givenUp(): boolean {
    return this.#silent;
  }

  demand(demand: Demand): void {
    if (demand === this.#told || demand === 'idle') return;
    this.#told = demand;
    if (demand === 'on') {
      if (this.#channel.alive === false) this.#fail('');
      else this.#ask();
    } else {
      this.#expectNothing();
      this.#send({ type: 'unsubscribe' });
    }
  }

  resume(): void {
    if (this.#told === 'on') this.#resuming.request();
  }

  settled(): void {
    this.#resuming.cancel();
  }

  /** A busy kernel answers late or never, but goes on pushing: there is nothing to ask. */
  check(): void {
    this.resume();
  }

  reject(failure: Failure): void {
    this.#foreign = true;
    this.#giveUp(failure);
  }

  wake(): void {
    this.resume();
  }

  close(): void {
    this.#stopListening();
    this.#expectNothing();
    // Not "unsubscribe": the next view of this widget may have no better transport, and a busy kernel would not hear it ask.
    if (this.#told === 'on') this.#send({ type: 'leave' });
    this.#told = 'off';
  }

  #hear(raw: unknown): void {
    const message = this.#told === 'off' ? null : parseMessage(raw);
    if (message === null) return;
    if (message.type === 'welcome') {
      this.#heartbeatMs = message.heartbeatSeconds * 1000;
      this.#foreign = false;
    }
    if (this.#foreign) return;
    this.#silent = false;
    this.#expect(this.#context.settings.missedHeartbeats * this.#heartbeatMs);
    // All views of a widget share its comm: where another one has left, the kernel has to know that we are still here.
    if (message.type !== 'unsubscribed') this.#context.onMessage(this, message);
    else if (this.#told === 'on') this.#resuming.request();
  }

  #ask(): void {
    this.#expect(this.#context.settings.welcomeTimeoutMs);
    this.#subscribe();
  }

  #subscribe(): void {
    const cursor = this.#context.cursor();
    this.#send({ type: 'subscribe', epoch: cursor?.epoch ?? '', after: cursor?.offset ?? 0 });
  }

  #send(message: Record<string, unknown>): void {
    try {
      this.#channel.send(message);
    } catch (error) {
      // A comm whose kernel is gone throws whatever its host throws.
      console.warn('forge-widgets: the kernel can’t be told', message['type'], error);
    }
  }

  #expect(timeoutMs: number): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = this.#context.clock.after(timeoutMs, () => { this.#fail('the kernel is silent'); });
  }

  #expectNothing(): void {
    this.#resuming.cancel();
    this.#cancelDeadline?.();
    this.#cancelDeadline = null;
  }

  #fail(reason: string): void {
    this.#expectNothing();
    // Ask once more, in case it is another kernel by now; then wait for it to speak.
    if (this.#told === 'on') this.#subscribe();
    this.#giveUp({ reason, kind: 'retry' });
  }

  #giveUp(failure: Failure): void {
    this.#expectNothing();
    this.#silent = true;
    this.#lastReason = failure.reason;
    this.#context.onFailure(this, failure);
  }
}
