import type { Message } from 'raft-ts';
import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { SnapshotPolicy } from './consensus.ts';
import type { MembershipHistory } from './membership.ts';
import { OwnSnapshot } from './own-snapshot.ts';
import type { CorePort, SnapshotToCore } from './protocol.ts';
import { SnapshotIntake } from './snapshot-intake.ts';
import { SnapshotRestore } from './snapshot-restore.ts';
import type { State } from './state.ts';
import type { Intake } from './transport.ts';
import { type SnapshotInfo, snapshotOf } from './wire.ts';

/** What is kept of the log on disk for slow followers behind a snapshot, whatever the number of entries. */
const KEPT_BYTES = 16 * 1024 * 1024;

export interface CoreSnapshotsOpts {
  /** Until another is set. */
  readonly policy: SnapshotPolicy;
  readonly pauseMs: number;
}

export interface CoreSnapshotsModules {
  readonly state: Pick<State, 'snapshots' | 'storage' | 'wal'>;
  readonly history: MembershipHistory;
  readonly port: CorePort;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Log;
}

/** All that a member does with snapshots: its own, those it is sent, and what the main thread starts from. */
export class CoreSnapshots {
  readonly #modules: CoreSnapshotsModules;
  readonly #own: OwnSnapshot;
  readonly #restore: SnapshotRestore;
  readonly #intake: SnapshotIntake;
  #policy: SnapshotPolicy;

  constructor(opts: CoreSnapshotsOpts, modules: CoreSnapshotsModules) {
    this.#policy = opts.policy;
    this.#modules = modules;
    const { snapshots } = modules.state;
    this.#restore = new SnapshotRestore(modules.port, snapshots);
    this.#intake = new SnapshotIntake(snapshots);
    this.#own = new OwnSnapshot(opts, {
      ...modules,
      snapshots,
      everyEntries: () => this.#policy.everyEntries,
      infoAt: (index) => this.#infoAt(index),
      taken: (info) => this.#taken(info),
    });
  }

  /** What was on disk is the main thread's first state. */
  begin(snapshot: SnapshotInfo | undefined): void {
    if (snapshot !== undefined) this.#restore.start(snapshot);
  }

  /** What the main thread says about snapshots. */
  handle(message: SnapshotToCore): void {
    switch (message.kind) {
      case 'snapshot-policy':
        return this.#follow(message.policy);
      case 'snapshot-begin':
        return this.#own.begin(message.index);
      case 'snapshot-piece':
        return this.#own.piece(message.piece);
      case 'snapshot-end':
        return this.#own.end();
      case 'snapshot-failed':
        this.#modules.log.error('the state could not be written as a snapshot', { ...message.failure });
        return this.#own.failed();
      case 'restore-more':
        return this.#restore.more();
    }
  }

  applied(index: number, bytes: number): void {
    this.#own.applied(index, bytes);
  }

  /** Asks for a snapshot now, unless one is being made. */
  demand(): void {
    this.#own.demand();
  }

  receive(info: SnapshotInfo, finished: (message: Message) => void): Intake {
    return this.#intake.receive(info, finished);
  }

  /** Raft does not want one that was received. */
  discard(info: SnapshotInfo): void {
    this.#intake.discard(info);
  }

  /** Puts a received one in place, on disk and as the main thread's state. */
  install(info: SnapshotInfo): void {
    this.#intake.install(info);
    this.#modules.history.restart(info.index, info.membership);
    this.#restore.start(info);
    this.#modules.log.info('took over a snapshot of the leader', { index: info.index, term: info.term });
  }

  close(): void {
    this.#own.close();
    this.#intake.close();
    this.#restore.close();
  }

  #follow(policy: SnapshotPolicy): void {
    this.#policy = policy;
    this.#modules.state.snapshots.keep(policy.filesKept);
  }

  #infoAt(index: number): SnapshotInfo | undefined {
    const { storage } = this.#modules.state;
    if (index <= storage.snapshot().meta.index) return undefined;
    return { index, term: storage.term(index), membership: this.#modules.history.at(index) };
  }

  /** What the snapshot stands for may go, but for a few entries that slow followers need. */
  #taken(info: SnapshotInfo): void {
    const { storage } = this.#modules.state;
    if (info.index <= storage.snapshot().meta.index) return;
    const { meta, data } = snapshotOf(info);
    storage.createSnapshot(info.index, meta.confState, data);
    storage.forgetBefore(this.#firstKept(info.index));
    this.#modules.history.forgetBefore(info.index);
    this.#modules.log.info('took a snapshot', { index: info.index });
  }

  #firstKept(snapshotIndex: number): number {
    const { storage, wal } = this.#modules.state;
    const wanted = snapshotIndex + 1 - this.#policy.entriesForSlowFollowers;
    return Math.max(storage.firstIndex(), wanted, wal.firstWithin(snapshotIndex + 1, KEPT_BYTES));
  }
}
