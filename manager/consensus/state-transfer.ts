import { toChunks, toPieces } from './chunk-stream.ts';
import type { StateMachine } from './consensus.ts';
import { failureOf, type HostPort } from './protocol.ts';

/** The main thread's part in snapshots: gives the state machine's state away piece by piece, and takes one in. */
export class StateTransfer {
  readonly #port: HostPort;
  readonly #stateMachine: StateMachine;
  /** The other end takes the next piece. */
  #wanted: PromiseWithResolvers<void> | undefined;
  #awaited: PromiseWithResolvers<Uint8Array | undefined> | undefined;

  constructor(port: HostPort, stateMachine: StateMachine) {
    this.#port = port;
    this.#stateMachine = stateMachine;
  }

  more(): void {
    this.#wanted?.resolve();
  }

  piece(piece: Uint8Array | undefined): void {
    this.#awaited?.resolve(piece);
  }

  /** Nothing more will come from the other end. */
  end(error: Error): void {
    this.#wanted?.reject(error);
    this.#awaited?.reject(error);
  }

  /** Gives the state as it is now, `index` being applied last. A failure is the other end's to know. */
  async give(index: number): Promise<void> {
    try {
      const pieces = toPieces(this.#stateMachine.snapshot());
      let piece = ahead(pieces.next());
      await this.#post(() => this.#port.post({ kind: 'snapshot-begin', index }));
      for (let next = await piece; !next.done; next = await piece) {
        const { value } = next;
        piece = ahead(pieces.next());
        await this.#post(() => this.#port.post({ kind: 'snapshot-piece', piece: value }, [value.buffer]));
      }
      this.#port.post({ kind: 'snapshot-end' });
    } catch (error) {
      this.#port.post({ kind: 'snapshot-failed', failure: failureOf(error) });
    }
  }

  /** Replaces the state. */
  async take(index: number): Promise<void> {
    let ended = false;
    const next = async (): Promise<Uint8Array | undefined> => {
      this.#awaited = Promise.withResolvers<Uint8Array | undefined>();
      this.#port.post({ kind: 'restore-more' });
      const piece = await this.#awaited.promise;
      ended = piece === undefined;
      return piece;
    };
    const pieces = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
      for (let piece = await next(); piece !== undefined; piece = await next()) yield piece;
    };
    await this.#stateMachine.restore(toChunks(pieces()), index);
    // Who knows from the state itself where it ends may have stopped reading: the other end is yet to be done with it.
    while (!ended) await next();
  }

  #post(send: () => void): Promise<void> {
    this.#wanted = Promise.withResolvers<void>();
    send();
    return this.#wanted.promise;
  }
}

/** For a promise that is awaited later: that it fails meanwhile is no surprise. */
function ahead<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
