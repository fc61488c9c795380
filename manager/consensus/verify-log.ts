import type { Disk } from './disk.ts';
import { type Finding, reasonOf } from './finding.ts';
import type { LogItem } from './items.ts';
import type { KeyRing } from './keys.ts';
import { BLOCK_BYTES } from './sealed.ts';
import { SEGMENT_START, segmentNumbers, segmentPath } from './segments.ts';
import { contiguousEnd, type LoadedSegment, loadSegment, type RecordFound, readGroup } from './wal-read.ts';

interface Modules {
  readonly disk: Disk;
  readonly keys: KeyRing;
}

/** Every segment of a log, and whether it goes on where the newest snapshot ends. Unlike a reader, it goes on behind damage. */
export function verifyLog(directory: string, snapshotIndex: number, modules: Modules): Finding[] {
  const numbers = segmentNumbers(modules.disk, directory);
  const live = contiguousEnd(numbers);
  const stale = numbers.filter((number) => !live.includes(number));
  const findings = stale.map((number): Finding => {
    const detail = 'older than a segment that is gone: the log has left it behind';
    return { path: segmentPath(directory, number), state: 'leftover', detail };
  });
  const files = live.map((number) => load(directory, number, modules));
  const log = new LogScan(snapshotIndex);
  for (const [at, file] of files.entries()) {
    if ('state' in file) findings.push(file);
    else findings.push(...log.segment(file, firstSequenceOf(files[at + 1])));
  }
  return findings;
}

function load(directory: string, number: number, modules: Modules): LoadedSegment | Finding {
  try {
    return loadSegment(directory, number, modules);
  } catch (error) {
    return { path: segmentPath(directory, number), state: 'damaged', detail: reasonOf(error) };
  }
}

function firstSequenceOf(file: LoadedSegment | Finding | undefined): number | undefined {
  return file === undefined || 'state' in file ? undefined : file.header.firstSequence;
}

/** What one group of records says, and where it is. */
interface Group {
  readonly records: readonly RecordFound[];
  readonly end: number;
  readonly nextSequence: number;
}

/** Goes through the segments of a log, one after the other. */
class LogScan {
  readonly #snapshotIndex: number;
  /** The last entry that the log is known to hold, counting what a snapshot stands for. */
  #lastIndex: number;
  /** What it says is committed, and whether it holds entries at all. */
  #committedIndex = 0;
  #hasEntries = false;

  constructor(snapshotIndex: number) {
    this.#snapshotIndex = snapshotIndex;
    this.#lastIndex = snapshotIndex;
  }

  /** `until`: the sequence number that the next segment starts with. */
  segment(file: LoadedSegment, until: number | undefined): Finding[] {
    const findings: Finding[] = [];
    let at = SEGMENT_START;
    let next = file.header.firstSequence;
    let entries = 0;
    while (until === undefined || next < until) {
      const group = groupAt(file, at, next);
      if (group instanceof Error) return [...findings, damage(file, at, reasonOf(group))];
      if (group === undefined) {
        const later = laterGroup(file, at, next, until);
        if (later === undefined) break;
        findings.push(damage(file, at, `bytes ${at} to ${later.at} are lost or changed`));
        at = later.at;
        next = later.sequence;
        continue;
      }
      const items = group.records.flatMap((record) => record.items);
      findings.push(...this.#gaps(file, items));
      entries += items.filter(({ kind }) => kind === 'entry').length;
      at = group.end;
      next = group.nextSequence;
    }
    return [...findings, ...this.#end(file, at, next, until, { entries, found: findings.length })];
  }

  /** How a segment ends: where the next one takes over, in nothing, or in a write that is not whole. */
  #end(
    file: LoadedSegment,
    at: number,
    next: number,
    until: number | undefined,
    { entries, found }: { entries: number; found: number },
  ): Finding[] {
    if (until !== undefined && next !== until) {
      return [
        damage(
          file,
          at,
          `what was written from byte ${at} on is lost or changed, and the log goes on after it`,
        ),
      ];
    }
    if (until === undefined && startsRecord(file, at, next)) {
      const detail = `the write at byte ${at} is not whole: cut short, and then nobody was told that it is done; or changed since`;
      return [{ path: file.path, state: 'torn', detail }];
    }
    if (found > 0) return [];
    if (until === undefined && !this.#hasEntries && this.#committedIndex > this.#snapshotIndex) {
      const what = `no entries, and the snapshot at index ${this.#committedIndex} that it goes on behind is missing`;
      return [damage(file, undefined, what)];
    }
    const detail = `${entries} entries, ${at} of ${file.bytes.length} bytes used`;
    return [{ path: file.path, state: 'whole', detail }];
  }

  /** Entries that belong between what was read before and these. */
  #gaps(file: LoadedSegment, items: readonly LogItem[]): Finding[] {
    const findings: Finding[] = [];
    for (const item of items) {
      if (item.kind === 'restart') {
        if (item.index > this.#snapshotIndex)
          findings.push(
            damage(file, undefined, `the snapshot at index ${item.index} that it goes on behind is missing`),
          );
        this.#lastIndex = item.index;
      }
      if (item.kind === 'hard-state') this.#committedIndex = item.hardState.commit;
      if (item.kind !== 'entry') continue;
      this.#hasEntries = true;
      const { index } = item.entry;
      if (index > this.#lastIndex + 1) {
        findings.push(
          damage(file, undefined, `entries ${this.#lastIndex + 1} to ${index - 1} are missing before it`),
        );
      }
      this.#lastIndex = index;
    }
    return findings;
  }
}

function groupAt(file: LoadedSegment, at: number, sequence: number): Group | Error | undefined {
  try {
    return readGroup(file, at, sequence);
  } catch (error) {
    return error as Error;
  }
}

/** The next group that is whole behind one that is not. */
function laterGroup(
  file: LoadedSegment,
  from: number,
  after: number,
  until: number | undefined,
): { at: number; sequence: number } | undefined {
  for (let at = from + BLOCK_BYTES; at < file.bytes.length; at += BLOCK_BYTES) {
    const record = file.sealer.find(file.bytes, at);
    if (record === undefined || record.sequence !== record.group || record.group <= after) continue;
    if (until === undefined || record.group < until) return { at, sequence: record.group };
  }
  return undefined;
}

/** Whether a record of this sequence number begins there, whole or not; anything else there is of an earlier life, or nothing. */
function startsRecord({ bytes, sealer }: LoadedSegment, at: number, sequence: number): boolean {
  return sealer.claims(bytes, at)?.sequence === sequence;
}

function damage({ path }: LoadedSegment, at: number | undefined, what: string): Finding {
  return { path, state: 'damaged', detail: at === undefined ? what : `at byte ${at}: ${what}` };
}
