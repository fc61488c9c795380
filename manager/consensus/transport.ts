import type { Message } from 'raft-ts';
import type { Peer } from './membership.ts';
import type { SnapshotReader } from './snapshots.ts';
import type { SnapshotInfo } from './wire.ts';

/** What a member that was removed is told, so that it knows there is no way back. */
export const REMOVED = 'this manager was removed from the cluster';

/** A snapshot that is being received. */
export interface Intake {
  /** How much of its data is here: where to go on. */
  readonly offset: number;
  write(data: Uint8Array): void;
  /** All of it is here: `message` announces it to Raft. */
  finish(message: Message): void;
}

/** What a transport tells, and asks. */
export interface TransportEvents {
  /** May this member speak to us? Throws FORBIDDEN when it was removed, or is not who it says. */
  admit(sender: Peer): void;
  received(messages: readonly Message[]): void;
  /** What was sent to this member may be lost. */
  unreachable(raftId: number): void;
  /** The line on which this member spoke to us broke, and it has opened no other. */
  lineEnded(raftId: number): void;
  snapshotSent(raftId: number, ok: boolean): void;
  openSnapshot(info: SnapshotInfo): SnapshotReader;
  receiveSnapshot(info: SnapshotInfo): Intake;
  /** Another member says that we were removed. */
  removed(): void;
}

/** Carries messages between members: in order, or not at all. */
export interface Transport extends AsyncDisposable {
  /** Never waits, never throws: what can't be sent is dropped, and `unreachable` called. */
  send(message: Message): void;
  /** Who the other members are. Connections to others are ended, and theirs refused. */
  setPeers(peers: readonly Peer[]): void;
  /** Where somebody can be reached who may not be known as a member here yet. */
  introduce(peer: Peer): void;
  /** Whether this member has a line to us open. */
  hears(raftId: number): boolean;
}

/** Makes the transport of a member. */
export type StartTransport = (self: Peer, events: TransportEvents) => Promise<Transport>;
