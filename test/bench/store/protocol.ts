import type { ConsensusOpts } from '#manager/consensus/host.ts';
import type { TlsIdentity } from '#proto/rpc/types.ts';
import type { Stall } from './stall.ts';

/* What the bench and the manager under test say to each other: a question has a number, and so has its answer. */

export type Question =
  /** Opens the state there is, or makes it; answered when a write was accepted. */
  | { readonly ask: 'open'; readonly opts: ConsensusOpts; readonly identity: TlsIdentity }
  /** Nodes, services, and tasks that run. */
  | { readonly ask: 'fill'; readonly tasks: number }
  /** Status updates of random tasks, as many as it takes. */
  | { readonly ask: 'flood'; readonly ms: number }
  /** So many status updates a second. */
  | { readonly ask: 'load'; readonly perSecond: number; readonly ms: number }
  /** Leads, until everything was looked at once, while so many status updates a second come. */
  | { readonly ask: 'lead'; readonly perSecond: number }
  /** Waits for a snapshot to be taken, and writes until one is due. */
  | { readonly ask: 'snapshot' }
  | { readonly ask: 'memory' };

export interface Asked {
  readonly id: number;
  readonly question: Question;
}

export type Answered =
  | { readonly id: number; readonly answer: Answer }
  | { readonly id: number; readonly failure: string };

export interface Answer {
  readonly tasks: number;
  readonly perSecond: number;
  readonly stall: Stall;
  readonly rssMib: number;
}
