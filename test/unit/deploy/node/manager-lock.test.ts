import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { NodeIdentity } from '#agent/session/identity.ts';
import { ManagerLock, openingLock } from '#deploy/node/manager-lock.ts';
import { newUnlockKey, unlockSecret } from '#manager/ca/unlock-key.ts';
import { machineDisk } from '#manager/consensus/disk.ts';
import { addKey, areLocked, createKeys, loadKeys, unfinishedRotation } from '#manager/consensus/keys.ts';
import { nullLog } from '#proto/base/log.ts';
import { seededRandom } from '#proto/base/random.ts';
import { clusterRow, testCa } from '#test/support/certificates.ts';
import { openTestStore, type TestStore } from '#test/support/local-log.ts';
import { until } from '#test/support/swarm-lab.ts';

const random = seededRandom(5);

/** A manager's folder, a store that says whether to lock, and what opens it after a restart. */
class Lab implements AsyncDisposable {
  readonly folder: string;
  readonly store: TestStore;
  /** Key ids that consensus was asked to take into use. */
  readonly rotated: number[] = [];
  identity: NodeIdentity;
  #lock: ManagerLock | undefined;

  private constructor(folder: string, store: TestStore, identity: NodeIdentity) {
    this.folder = folder;
    this.store = store;
    this.identity = identity;
  }

  static async open(): Promise<Lab> {
    const folder = await mkdtemp(join(tmpdir(), 'shoal-test-manager-lock-'));
    await mkdir(join(folder, 'raft'));
    createKeys(machineDisk, join(folder, 'raft'), random);
    const ca = await testCa();
    const identity = await NodeIdentity.open(folder);
    await identity.adopt((await ca.node('manager')).identity.current());
    const store = openTestStore();
    await store.store.update({ changes: [{ kind: 'putCluster', cluster: clusterRow(ca) }] });
    return new Lab(folder, store, identity);
  }

  get stateDir(): string {
    return join(this.folder, 'raft');
  }

  /** The daemon's part, until the next restart. */
  run(): void {
    const rotateKey = async ({ id }: { readonly id: number }): Promise<void> => void this.rotated.push(id);
    const { identity, store } = this;
    this.#lock = new ManagerLock(this.stateDir, {
      identity,
      store: store.store,
      consensus: { rotateKey },
      random,
      log: nullLog,
    });
  }

  async setKey(unlockKey: string | undefined): Promise<void> {
    const { cluster } = this.store.store.view();
    if (cluster === undefined) throw new Error('no cluster');
    const { version: _v, createdAtMs: _c, updatedAtMs: _u, unlockKey: _k, ...rest } = cluster;
    const next = { ...rest, ...(unlockKey !== undefined && { unlockKey }) };
    await this.store.store.update({ changes: [{ kind: 'putCluster', cluster: next }] });
  }

  /** Waits until what is on disk opens with this key alone, and the data keys were rotated. */
  async settled(unlockKey: string | undefined): Promise<void> {
    await until('the disk is locked as told', async () => {
      const again = await NodeIdentity.open(this.folder);
      if (unlockKey !== undefined) await again.unlock(unlockSecret(unlockKey));
      loadKeys(machineDisk, this.stateDir, again.lock?.inner);
      const isLocked = areLocked(machineDisk, this.stateDir);
      return isLocked === (unlockKey !== undefined) && this.#rotationIsOver(again.lock?.inner);
    });
  }

  async restart(unlockKey: string | undefined): Promise<void> {
    await this.#lock?.[Symbol.asyncDispose]();
    this.identity = await NodeIdentity.open(this.folder);
    if (unlockKey !== undefined) await this.identity.unlock(unlockSecret(unlockKey));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock?.[Symbol.asyncDispose]();
    await this.store[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true });
  }

  #rotationIsOver(lock: Uint8Array | undefined): boolean {
    return unfinishedRotation(machineDisk, this.stateDir, lock) === undefined;
  }
}

test('manager lock: follows the cluster, and each change rotates the data key', async (t) => {
  await using lab = await Lab.open();
  lab.run();
  const [first, second] = [newUnlockKey(random), newUnlockKey(random)];
  await lab.setKey(first);
  await lab.settled(first);
  await lab.setKey(second);
  await lab.settled(second);
  await t.throwsAsync(lab.restart(first), { code: 'UNAUTHENTICATED' });
  await lab.restart(second);
  lab.run();
  await lab.setKey(undefined);
  await lab.settled(undefined);
  await until('the last rotation is over', async () => lab.rotated.length === 3);
  t.deepEqual(lab.rotated, [2, 3, 4]);
});

test('manager lock: one that was changed while this manager was down is taken up at its start', async (t) => {
  await using lab = await Lab.open();
  lab.run();
  const [first, second] = [newUnlockKey(random), newUnlockKey(random)];
  await lab.setKey(first);
  await lab.settled(first);
  await lab.restart(first);
  await lab.setKey(second);
  lab.run();
  await lab.settled(second);
  t.pass();
});

test('manager lock: cut short between its two files it still opens, and is brought to its end', async (t) => {
  await using lab = await Lab.open();
  const [first, second] = [newUnlockKey(random), newUnlockKey(random)];
  const inners = [random.bytes(32), random.bytes(32)] as const;
  // The identity is locked, the keys are not yet.
  await lab.identity.lockWith({ secret: unlockSecret(first), inner: inners[0] });
  await lab.restart(first);
  t.truthy(loadKeys(machineDisk, lab.stateDir, openingLock(lab.identity, lab.stateDir)));
  await lab.setKey(first);
  lab.run();
  await lab.settled(first);
  // The identity has a new lock, the keys still have the one before.
  await lab.identity.lockWith({ secret: unlockSecret(second), inner: inners[1], before: inners[0] });
  await lab.restart(second);
  t.deepEqual(openingLock(lab.identity, lab.stateDir), inners[0]);
  await lab.setKey(second);
  lab.run();
  await lab.settled(second);
});

test('manager lock: a rotation that was cut short is gone on with at the next start', async (t) => {
  await using lab = await Lab.open();
  addKey(machineDisk, lab.stateDir, undefined, random);
  lab.run();
  await lab.settled(undefined);
  t.deepEqual(lab.rotated, [2]);
  t.throws(() => loadKeys(machineDisk, lab.stateDir).find(1));
});
