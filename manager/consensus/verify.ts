import type { Disk } from './disk.ts';
import { type Finding, reasonOf } from './finding.ts';
import { type KeyRing, loadKeys } from './keys.ts';
import { SnapshotReader, snapshotPaths } from './snapshots.ts';
import { logDirectory, snapshotDirectory } from './state.ts';
import { verifyLog } from './verify-log.ts';

/**
 * Reads every byte of a manager's state directory, and says of each file whether it is whole, and where not. Changes
 * nothing; for a manager that does not run. Throws FAILED_PRECONDITION where the keys can't be read.
 */
export function verifyState(disk: Disk, stateDir: string, lock?: Uint8Array): Finding[] {
  const keys = loadKeys(disk, stateDir, lock);
  const directory = snapshotDirectory(stateDir);
  const snapshots = snapshotPaths(disk, directory).map((path) => verifySnapshot(path, { disk, keys }));
  const unfinished = disk.list(directory).filter((name) => name.endsWith('.tmp'));
  return [
    ...snapshots.map(({ finding }) => finding),
    ...unfinished.map((name): Finding => {
      return {
        path: `${directory}/${name}`,
        state: 'leftover',
        detail: 'a snapshot that was never finished',
      };
    }),
    ...verifyLog(logDirectory(stateDir), snapshots.at(-1)?.index ?? 0, { disk, keys }),
  ];
}

function verifySnapshot(
  path: string,
  modules: { disk: Disk; keys: KeyRing },
): { finding: Finding; index?: number } {
  let reader: SnapshotReader | undefined;
  try {
    reader = new SnapshotReader(path, modules);
    let bytes = 0;
    for (let piece = reader.next(); piece !== undefined; piece = reader.next()) bytes += piece.length;
    const { index, term } = reader.info;
    return {
      finding: { path, state: 'whole', detail: `index ${index}, term ${term}, ${bytes} bytes` },
      index,
    };
  } catch (error) {
    return { finding: { path, state: 'damaged', detail: reasonOf(error) } };
  } finally {
    reader?.close();
  }
}
