import { type Message, MessageType } from 'raft-ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Transport } from './transport.ts';

/** How long the bare news that more is committed waits for something to travel with. */
const COMMIT_NEWS_MS = 1;

export interface OutboxModules {
  readonly transport: Pick<Transport, 'send'>;
  readonly clock: Pick<Clock, 'timer'>;
}

/**
 * Messages on their way out. That more is committed is worth no message of its own while there are writes: the next one
 * says it, too. So such news waits a moment, which halves what a steady writer makes the managers say to each other.
 */
export class Outbox implements Disposable {
  readonly #modules: OutboxModules;
  readonly #news = new Map<number, Message>();
  #cancel: (() => void) | undefined;

  constructor(modules: OutboxModules) {
    this.#modules = modules;
  }

  send(message: Message): void {
    const isAppend = message.type === MessageType.App;
    if (isAppend && (message.entries ?? []).length === 0) {
      this.#news.set(message.to, message);
      this.#cancel ??= this.#modules.clock.timer(COMMIT_NEWS_MS, () => this.#flush());
      return;
    }
    if (isAppend) this.#news.delete(message.to);
    this.#modules.transport.send(message);
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
  }

  #flush(): void {
    this.#cancel = undefined;
    const news = [...this.#news.values()];
    this.#news.clear();
    for (const message of news) this.#modules.transport.send(message);
  }
}
