import type { IdentityLock, NodeIdentity } from '#agent/session/identity.ts';
import { unlockSecret } from '#manager/ca/unlock-key.ts';
import { machineDisk } from '#manager/consensus/disk.ts';
import { areLocked, relockKeys } from '#manager/consensus/keys.ts';
import type { Store } from '#manager/store/view.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';

const INNER_BYTES = 32;

export interface ManagerLockModules {
  readonly identity: NodeIdentity;
  readonly store: Pick<Store, 'view' | 'subscribe'>;
  readonly random: Pick<Random, 'bytes'>;
  readonly log: Log;
}

/**
 * Keeps what a manager has on disk locked as the cluster says: its keys with a secret that is kept with the node's own key,
 * and that with the cluster's unlock key. So a new unlock key changes one file, as a whole.
 */
export class ManagerLock implements AsyncDisposable {
  readonly #stateDir: string;
  readonly #modules: ManagerLockModules;
  readonly #unfollow: () => void;
  #turn: Promise<void> = Promise.resolve();

  constructor(stateDir: string, modules: ManagerLockModules) {
    this.#stateDir = stateDir;
    this.#modules = modules;
    this.#unfollow = modules.store.subscribe(({ events }) => {
      if (events.some(({ table }) => table === 'cluster')) this.#follow();
    });
    this.#follow();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unfollow();
    await this.#turn;
  }

  #follow(): void {
    this.#turn = this.#turn
      .then(() => this.#beAsToldTo())
      .catch((error: unknown) => {
        this.#modules.log.error('the keys of this manager could not be locked as the cluster says', {
          err: error,
        });
      });
  }

  async #beAsToldTo(): Promise<void> {
    const { cluster } = this.#modules.store.view();
    if (cluster === undefined) return;
    const wanted = cluster.unlockKey === undefined ? undefined : unlockSecret(cluster.unlockKey);
    const { lock } = this.#modules.identity;
    if (wanted !== undefined) return this.#lock(wanted, lock);
    if (lock !== undefined) await this.#open(lock);
  }

  /** The identity first: while the keys are open they are read whatever locks the rest. */
  async #lock(secret: Uint8Array, before: IdentityLock | undefined): Promise<void> {
    const { identity, random, log } = this.#modules;
    const inner = before?.inner ?? random.bytes(INNER_BYTES);
    if (!isSame(before?.secret, secret)) {
      await identity.lockWith({ secret, inner });
      log.info('this manager is locked from its next start on');
    }
    if (areLocked(machineDisk, this.#stateDir)) return;
    relockKeys(machineDisk, this.#stateDir, { from: inner, to: inner }, random);
  }

  /** The keys first, for the same reason. */
  async #open({ inner }: IdentityLock): Promise<void> {
    const { identity, random, log } = this.#modules;
    relockKeys(machineDisk, this.#stateDir, { from: inner, to: undefined }, random);
    await identity.lockWith(undefined);
    log.info('this manager is not locked any more');
  }
}

function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.from(a).equals(b);
}
