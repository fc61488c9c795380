import type { Member } from '#manager/consensus/consensus.ts';
import type { ConsensusOpts } from '#manager/consensus/host.ts';
import type { TlsIdentity } from '#proto/rpc/types.ts';

/* What the bench and a member of its group say to each other. */

/** What the log carries: keys and values, or transactions of the store. */
export type MachineKind = 'kv' | 'store';

export type ToMember =
  | {
      readonly do: 'start';
      readonly opts: ConsensusOpts;
      readonly identity: TlsIdentity;
      readonly machine: MachineKind;
      /** Where it answers KV/Put; it listens on loopback. */
      readonly clientPort: number;
    }
  | { readonly do: 'add'; readonly member: Omit<Member, 'learner' | 'raftId'> }
  | { readonly do: 'status' }
  /** So many writers, each of which writes again as soon as its last write is done. */
  | { readonly do: 'load'; readonly writers: number; readonly bytes: number; readonly ms: number };

export type FromMember =
  | { readonly say: 'started' }
  | { readonly say: 'leads'; readonly leading: boolean; readonly voters: number }
  | { readonly say: 'added'; readonly raftId: number; readonly members: readonly Member[] }
  | {
      readonly say: 'status';
      readonly term: number;
      readonly commitIndex: number;
      readonly appliedIndex: number;
    }
  | { readonly say: 'loaded'; readonly load: Load }
  | { readonly say: 'failed'; readonly message: string };

/** What came of a load. */
export interface Load {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}
