import type { Entry, HardState } from 'raft-ts';
import { createKeys, hasKeys, type KeyRing, loadKeys } from '#manager/consensus/keys.ts';
import { Wal } from '#manager/consensus/wal.ts';
import type { LogContent } from '#manager/consensus/wal-read.ts';
import { systemClock } from '#proto/base/clock.ts';
import { nullLog } from '#proto/base/log.ts';
import { type Random, seededRandom } from '#proto/base/random.ts';
import { SimDisk } from './sim-disk.ts';

export const DIRECTORY = 'state';
export const IDENTITY = { raftId: 7, nodeId: 'node-seven' };

/** A log on a simulated disk, as its own process would open it. */
export class WalHarness {
  readonly disk = new SimDisk();
  readonly segmentBytes: number;
  readonly random: Random;
  keys: KeyRing;
  wal!: Wal;
  content!: LogContent;

  constructor(opts: { segmentBytes?: number; seed?: number } = {}) {
    this.segmentBytes = opts.segmentBytes ?? 64 * 1024;
    this.random = seededRandom(opts.seed ?? 1);
    this.disk.makeDirectory(DIRECTORY);
    this.keys = hasKeys(this.disk, DIRECTORY)
      ? loadKeys(this.disk, DIRECTORY)
      : createKeys(this.disk, DIRECTORY, this.random);
    this.reopen();
  }

  reopen(): LogContent {
    const opened = Wal.open(
      { directory: DIRECTORY, identity: IDENTITY, segmentBytes: this.segmentBytes },
      {
        disk: this.disk,
        keys: this.keys,
        random: this.random,
        clock: systemClock,
        log: nullLog,
        observeSync: () => undefined,
      },
    );
    this.wal = opened.wal;
    this.content = opened.content;
    return opened.content;
  }

  crash(): LogContent {
    this.disk.crash(this.random);
    return this.reopen();
  }

  append(entries: readonly Entry[], hardState?: HardState): void {
    this.wal.append({ entries, hardState });
  }

  segments(): string[] {
    return this.disk
      .list(DIRECTORY)
      .filter((name) => name.endsWith('.wal'))
      .map((name) => `${DIRECTORY}/${name}`);
  }
}

/** An entry whose data says which it is, of about `bytes`. */
export function entry(index: number, term = 1, bytes = 20): Entry {
  return { type: 0, term, index, data: Buffer.from(`${term}/${index}`.padEnd(bytes, '.')) };
}

export function entries(from: number, to: number, term = 1, bytes = 20): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, at) => entry(from + at, term, bytes));
}

/** What was read back, as text that is easy to compare. */
export function said(content: LogContent): string[] {
  return content.entries.map((read) => Buffer.from(read.data).toString().replace(/\.+$/, ''));
}

export function texts(from: number, to: number, term = 1): string[] {
  return said({
    entries: entries(from, to, term),
    identity: undefined,
    hardState: { term: 0, vote: 0, commit: 0 },
    committedIndex: 0,
    restart: undefined,
  });
}
