import type { IdentityLock, NodeIdentity } from '#agent/session/identity.ts';
import { unlockSecret } from '#manager/ca/unlock-key.ts';
import type { KeepsFiles } from '#manager/consensus/consensus.ts';
import { machineDisk } from '#manager/consensus/disk.ts';
import {
  addKey,
  areLocked,
  dropOldKeys,
  fittingLock,
  relockKeys,
  unfinishedRotation,
} from '#manager/consensus/keys.ts';
import type { Store } from '#manager/store/view.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';

const INNER_BYTES = 32;

export interface ManagerLockModules {
  readonly identity: NodeIdentity;
  readonly store: Pick<Store, 'view' | 'subscribe'>;
  readonly consensus: Pick<KeepsFiles, 'rotateKey'>;
  readonly random: Pick<Random, 'bytes'>;
  readonly log: Log;
}

/**
 * Keeps what a manager has on disk locked as the cluster says: its keys with a secret that is kept with the node's own key,
 * and that with the cluster's unlock key. Whenever that changes, everything is encrypted anew: who had the old key and
 * an old copy of the disk knows nothing of what comes.
 */
export class ManagerLock implements AsyncDisposable {
  readonly #stateDir: string;
  readonly #modules: ManagerLockModules;
  readonly #unfollow: () => void;
  #turn: Promise<void> = Promise.resolve();
  /** One after the other; each ends with the manager at the latest. */
  #rotation: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(stateDir: string, modules: ManagerLockModules) {
    this.#stateDir = stateDir;
    this.#modules = modules;
    this.#unfollow = modules.store.subscribe(({ events }) => {
      if (events.some(({ table }) => table === 'cluster')) this.#follow();
    });
    this.#follow();
    if (unfinishedRotation(machineDisk, stateDir, openingLock(modules.identity, stateDir)))
      this.#rotateSoon();
  }

  /** Encrypts everything on disk with a new key; resolves when nothing is left of the old. */
  rotateKey(): Promise<void> {
    const rotated = this.#rotation.then(() => this.#rotate());
    this.#rotation = rotated.catch(() => undefined);
    return rotated;
  }

  /** A rotation that is under way ends with the manager, and is gone on with at the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
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
    const { lock } = this.#modules.identity;
    if (cluster.unlockKey !== undefined) await this.#lock(unlockSecret(cluster.unlockKey), lock);
    else if (lock !== undefined) await this.#open();
  }

  /** The identity first: it knows the lock before and the lock after, whichever the keys have. */
  async #lock(secret: Uint8Array, before: IdentityLock | undefined): Promise<void> {
    const { identity, random, log } = this.#modules;
    const from = openingLock(identity, this.#stateDir);
    const isNew = !isSame(before?.secret, secret);
    const inner = isNew || before === undefined ? random.bytes(INNER_BYTES) : before.inner;
    if (isNew) await identity.lockWith({ secret, inner, ...(from && { before: from }) });
    if (isNew || !isSame(from, inner) || !areLocked(machineDisk, this.#stateDir)) {
      relockKeys(machineDisk, this.#stateDir, { from, to: inner }, random);
    }
    if (!isNew) return;
    log.info('this manager is locked from its next start on');
    this.#rotateSoon();
  }

  /** The keys first: while they are open they are read whatever locks the rest. */
  async #open(): Promise<void> {
    const { identity, random, log } = this.#modules;
    const from = openingLock(identity, this.#stateDir);
    relockKeys(machineDisk, this.#stateDir, { from, to: undefined }, random);
    await identity.lockWith(undefined);
    log.info('this manager is not locked any more');
    this.#rotateSoon();
  }

  #rotateSoon(): void {
    this.rotateKey().catch((error: unknown) => {
      if (this.#stopped) return;
      this.#modules.log.error('the state on disk is not yet encrypted with a new key', { err: error });
    });
  }

  async #rotate(): Promise<void> {
    const { identity, consensus, random } = this.#modules;
    if (this.#stopped) return;
    const lock = openingLock(identity, this.#stateDir);
    const key =
      unfinishedRotation(machineDisk, this.#stateDir, lock) ??
      addKey(machineDisk, this.#stateDir, lock, random);
    await consensus.rotateKey(key);
    if (this.#stopped) return;
    dropOldKeys(machineDisk, this.#stateDir, openingLock(identity, this.#stateDir), random);
  }
}

/** What opens the keys of a manager that was unlocked; undefined where nothing is locked. */
export function openingLock({ lock }: Pick<NodeIdentity, 'lock'>, stateDir: string): Uint8Array | undefined {
  if (lock === undefined) return undefined;
  const locks = lock.before === undefined ? [lock.inner] : [lock.inner, lock.before];
  return fittingLock(machineDisk, stateDir, locks);
}

function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.from(a).equals(b);
}
