import { type Message, MessageType } from 'raft-ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Transport } from './transport.ts';

/** How long the bare news that more is committed waits for something to travel with. */
const COMMIT_NEWS_MS = 1;

export interface OutboxModules {
  readonly transport: Pick<Transport, 'send'>;
  readonly clock: Pick<Clock, 'timer' | 'monotonicMs'>;
}

interface News {
  readonly message: Message;
  /** Since when there is something to say. */
  readonly sinceMs: number;
}

/**
 * Messages on their way out. That more is committed is worth no message of its own while there are writes: the next one
 * says it, too. So such news waits a moment, which halves what a steady writer makes the managers say to each other.
 */
export class Outbox implements Disposable {
  readonly #modules: OutboxModules;
  readonly #news = new Map<number, News>();
  #cancel: (() => void) | undefined;

  constructor(modules: OutboxModules) {
    this.#modules = modules;
  }

  send(message: Message): void {
    const isAppend = message.type === MessageType.App;
    if (isAppend && (message.entries ?? []).length === 0) return this.#keep(message);
    if (isAppend) this.#news.delete(message.to);
    this.#modules.transport.send(message);
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
  }

  #keep(message: Message): void {
    const { clock } = this.#modules;
    const sinceMs = this.#news.get(message.to)?.sinceMs ?? clock.monotonicMs();
    this.#news.set(message.to, { message, sinceMs });
    this.#cancel ??= clock.timer(COMMIT_NEWS_MS, () => this.#flush());
  }

  /** The timer may have been set for older news, which entries have carried since: what is young waits on. */
  #flush(): void {
    const { clock, transport } = this.#modules;
    this.#cancel = undefined;
    const dueMs = clock.monotonicMs() - COMMIT_NEWS_MS;
    for (const [to, { message, sinceMs }] of [...this.#news]) {
      if (sinceMs > dueMs) continue;
      this.#news.delete(to);
      transport.send(message);
    }
    if (this.#news.size > 0) this.#cancel = clock.timer(COMMIT_NEWS_MS, () => this.#flush());
  }
}
