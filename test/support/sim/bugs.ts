import type { CommittedEntry, Consensus, StateMachine } from '#manager/consensus/consensus.ts';
import type { DiskFile } from '#manager/consensus/disk.ts';
import { loadKeys } from '#manager/consensus/keys.ts';
import type { CorePort, ToHost } from '#manager/consensus/protocol.ts';
import { logDirectory } from '#manager/consensus/state.ts';
import { Wal, type WalBatch } from '#manager/consensus/wal.ts';
import { type LogContent, readWal } from '#manager/consensus/wal-read.ts';
import { decodeEntry, encodeTransaction, joinEntry } from '#manager/store/log-entry.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import { systemClock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { nullLog } from '#proto/base/log.ts';
import { seededRandom } from '#proto/base/random.ts';
import { SimDisk } from '../../unit/manager/consensus/support/sim-disk.ts';
import type { Bug } from './manager.ts';

/*
 * Mistakes that a Raft or a store could make, planted around the right parts, to see that the simulation finds them out.
 */

/** A vote is forgotten over a restart: the same term can be voted in twice. */
export const FORGETS_ITS_VOTE: Bug = {
  beforeRestart: (disk, stateDir) =>
    writeOn(disk, stateDir, ({ hardState }) => ({ entries: [], hardState: { ...hardState, vote: 0 } })),
};

/** Writes something to the log of a manager that does not run. */
export function writeOn(disk: SimDisk, stateDir: string, next: (content: LogContent) => WalBatch): void {
  const keys = loadKeys(disk, stateDir);
  const directory = logDirectory(stateDir);
  const { content } = readWal(directory, { disk, keys });
  const { identity, hardState } = content;
  if (identity === undefined) return;
  const random = seededRandom(hardState.term);
  const modules = { disk, keys, random, clock: systemClock, log: nullLog, observeSync: () => undefined };
  const { wal } = Wal.open({ directory, identity, segmentBytes: 32 * 1024 }, modules);
  wal.append(next(content));
  wal.close();
}

/** The log is said to be durable when it was only written. */
export const DOES_NOT_SYNC: Bug = { disk: () => new UnsyncedDisk() };

class UnsyncedDisk extends SimDisk {
  override open(path: string, how: 'read' | 'write' | 'create'): DiskFile {
    const file = super.open(path, how);
    return path.includes('/log/') ? { ...file, sync: () => undefined } : file;
  }
}

/** Whoever leads answers reads at once, without asking whether it still does. */
export const READS_WITHOUT_QUORUM: Bug = {
  consensus: (inner) => ({
    ...facesOf(inner),
    readBarrier: (signal) => (inner.leadership().leading ? Promise.resolve() : inner.readBarrier(signal)),
  }),
};

/** A clock goes at a third of its speed, far beyond what leases allow for. To be run with lease reads. */
export const LEASE_OF_A_SLOW_CLOCK: Bug = { clockRate: (number) => (number === 1 ? 0.33 : 1.2) };

/** That something was applied where a proposal was put is taken for its success, whatever it was. */
export const TAKES_ANY_ENTRY_FOR_ITS_OWN: Bug = {
  port: (inner) => onPosts(inner, (message) => (message.kind === 'committed' ? blind(message) : message)),
};

function blind(message: Extract<ToHost, { kind: 'committed' }>): ToHost {
  const { committed, lost, unknown } = message.outcomes;
  const [run = { term: 0 }] = message.terms;
  const taken = lost.map((firstId) => ({
    firstId,
    firstIndex: message.firstIndex,
    term: run.term,
    count: 1,
  }));
  return { ...message, outcomes: { committed: [...committed, ...taken], lost: [], unknown } };
}

/** What is not known is told as not made. */
export const SAYS_NO_FOR_UNKNOWN: Bug = {
  consensus: (inner) => {
    const refusing = new Set<(error: Error) => void>();
    inner.onLeadership(({ leading }) => {
      if (leading) return;
      for (const refuse of refusing) refuse(new ShoalError('UNAVAILABLE', 'lost the lead'));
      refusing.clear();
    });
    return {
      ...facesOf(inner),
      propose: (data) =>
        new Promise((resolve, reject) => {
          refusing.add(reject);
          inner
            .propose(data)
            .then(resolve, reject)
            .finally(() => refusing.delete(reject));
        }),
    };
  },
};

/** The first entry after a restart is applied once more than it should be. */
export const APPLIES_TWICE: Bug = {
  machine: (machine, isRestart) => (isRestart ? new Repeating(machine) : machine),
};

class Passing implements StateMachine {
  protected readonly machine: StoreMachine;

  constructor(machine: StoreMachine) {
    this.machine = machine;
  }

  apply(entries: readonly CommittedEntry[]): void {
    this.machine.apply(entries);
  }

  snapshot(): AsyncIterable<Uint8Array> {
    return this.machine.snapshot();
  }

  restore(chunks: AsyncIterable<Uint8Array>, index: number): Promise<void> {
    return this.machine.restore(chunks, index);
  }
}

class Repeating extends Passing {
  #done = false;

  override apply(entries: readonly CommittedEntry[]): void {
    for (const entry of entries) {
      const repeats = !this.#done && entry.data.length > 0;
      this.#done ||= repeats;
      super.apply([repeats ? { ...entry, data: twice(entry.data) } : entry]);
    }
  }
}

function twice(data: Uint8Array): Uint8Array {
  const transactions = decodeEntry(data).transactions.map(encodeTransaction);
  return joinEntry([...transactions, ...transactions]);
}

/** Snapshots lack the last entry that changed something. */
export const SNAPSHOT_MISSES_AN_ENTRY: Bug = { machine: (machine) => new Forgetful(machine) };

class Forgetful extends Passing {
  /** One entry behind, as for what it holds. */
  #behind = new StoreMachine();
  #last: CommittedEntry | undefined;

  override apply(entries: readonly CommittedEntry[]): void {
    super.apply(entries);
    for (const entry of entries) {
      if (entry.data.length === 0) this.#withhold(entry);
      else this.#release(entry);
    }
  }

  /** Its place is kept with nothing in it. */
  #withhold(entry: CommittedEntry): void {
    this.#behind.apply([entry]);
  }

  #release(entry: CommittedEntry): void {
    if (this.#last !== undefined && this.#behind.version < this.#last.index) this.#behind.apply([this.#last]);
    this.#last = entry;
  }

  override snapshot(): AsyncIterable<Uint8Array> {
    if (this.#last !== undefined && this.#behind.version < this.#last.index)
      this.#behind.apply([{ ...this.#last, data: new Uint8Array() }]);
    return this.#behind.snapshot();
  }

  override async restore(chunks: AsyncIterable<Uint8Array>, index: number): Promise<void> {
    const all: Uint8Array[] = [];
    for await (const chunk of chunks) all.push(chunk);
    await super.restore(again(all), index);
    this.#behind = new StoreMachine();
    this.#last = undefined;
    await this.#behind.restore(again(all), index);
  }
}

async function* again(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** Consensus as it is, for one of its faces to be replaced. */
function facesOf(inner: Consensus): Consensus {
  return {
    propose: (data) => inner.propose(data),
    readBarrier: (signal) => inner.readBarrier(signal),
    leadership: () => inner.leadership(),
    onLeadership: (changed) => inner.onLeadership(changed),
    members: () => inner.members(),
    onMembers: (changed) => inner.onMembers(changed),
    onRemoved: (removed) => inner.onRemoved(removed),
    isRemoved: () => inner.isRemoved(),
    addMember: (member) => inner.addMember(member),
    removeMember: (raftId) => inner.removeMember(raftId),
    transferLeadership: () => inner.transferLeadership(),
    status: () => inner.status(),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

function onPosts(inner: CorePort, change: (message: ToHost) => ToHost): CorePort {
  return {
    post: (message, handOver) => inner.post(change(message), handOver),
    onMessage: (receive) => inner.onMessage(receive),
  };
}
