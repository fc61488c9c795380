import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { DataKey, Keys } from './keys.ts';
import type { LogStorage } from './log-storage.ts';
import type { Soon } from './opts.ts';
import type { Snapshots } from './snapshots.ts';
import type { Wal } from './wal.ts';

/** How often it is looked whether what is left of an older key has gone. */
const LOOK_EVERY_MS = 250;

export interface KeyRotationModules {
  readonly keys: Keys;
  readonly wal: Wal;
  readonly storage: Pick<LogStorage, 'forgetOnDiskBefore'>;
  readonly snapshots: Snapshots;
  /** A snapshot of now, soon: what it stands for may go from the log. */
  readonly demandSnapshot: () => void;
  readonly soon: Soon;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly log: Log;
}

/**
 * Takes a new key into use. The log goes on in a new segment, a new snapshot makes the older segments unneeded, and where
 * nothing new is to be said the snapshot that is there is encrypted anew; meanwhile everything goes on.
 */
export class KeyRotation implements Disposable {
  readonly #modules: KeyRotationModules;
  readonly #stopping = new AbortController();

  constructor(modules: KeyRotationModules) {
    this.#modules = modules;
  }

  /** Resolves when nothing is encrypted with another key any more. */
  async rotate(key: DataKey): Promise<void> {
    const { keys, wal, storage, snapshots, demandSnapshot, clock, log } = this.#modules;
    keys.add(key);
    if (wal.keyIds.at(-1) !== keys.current.id) wal.goOn();
    for (;;) {
      await snapshots.reseal(() => this.#pause());
      storage.forgetOnDiskBefore((snapshots.latest?.index ?? 0) + 1);
      if ([...wal.keyIds, ...snapshots.keyIds].every((id) => id === keys.current.id)) break;
      demandSnapshot();
      await clock.sleep(LOOK_EVERY_MS, this.#stopping.signal);
    }
    log.info('everything on disk is encrypted with a new key', { key: keys.current.id });
  }

  [Symbol.dispose](): void {
    this.#stopping.abort(new Error('this manager is stopping'));
  }

  /** Others get their turn. */
  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => this.#modules.soon(resolve));
    this.#stopping.signal.throwIfAborted();
  }
}
