import { ShoalError } from '#proto/base/errors.ts';
import { toPieces } from './chunk-stream.ts';
import { createKeys, hasKeys } from './keys.ts';
import type { Membership, Peer } from './membership.ts';
import type { CoreModules } from './opts.ts';
import { Snapshots } from './snapshots.ts';
import { logDirectory, snapshotDirectory } from './state.ts';
import { Wal } from './wal.ts';

export interface SeedOpts {
  /** Must hold no state yet. */
  readonly stateDir: string;
  /** Its only member: a raft id that no member had before. */
  readonly self: Peer;
  /** Where the log goes on. */
  readonly index: number;
  readonly term: number;
  readonly segmentBytes: number;
}

/**
 * Makes the state directory of a group whose only member begins with a state that comes from elsewhere: the chunks of a
 * state machine at `index`. It is then started with `restart`. Throws FAILED_PRECONDITION where there is one already.
 */
export async function seedState(
  opts: SeedOpts,
  chunks: AsyncIterable<Uint8Array>,
  modules: Pick<CoreModules, 'disk' | 'random' | 'clock' | 'log'>,
): Promise<void> {
  const { stateDir, self, index, term, segmentBytes } = opts;
  const { disk, random } = modules;
  disk.makeDirectory(stateDir);
  if (hasKeys(disk, stateDir))
    throw new ShoalError('FAILED_PRECONDITION', `${stateDir} holds the state of a manager already`);
  const keys = createKeys(disk, stateDir, random);
  const snapshots = new Snapshots(
    { directory: snapshotDirectory(stateDir), keep: 1 },
    { disk, keys, random },
  );
  const writer = snapshots.create({ index, term, membership: aloneWith(self) });
  try {
    for await (const piece of toPieces(chunks)) writer.write(piece);
    writer.commit();
  } finally {
    writer.abort();
  }
  const identity = { raftId: self.raftId, nodeId: self.nodeId };
  const walOpts = { directory: logDirectory(stateDir), identity, segmentBytes };
  const { wal } = Wal.open(walOpts, { ...modules, keys, observeSync: () => undefined });
  wal.append({ restart: { index, term }, hardState: { term, vote: 0, commit: index }, entries: [] });
  wal.close();
}

function aloneWith(self: Peer): Membership {
  const nobody = { learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
  return { peers: [self], confState: { voters: [self.raftId], ...nobody }, nextRaftId: self.raftId + 1 };
}
