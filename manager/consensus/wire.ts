import type { ConfState, Entry, EntryType, Message, MessageType, Snapshot, SnapshotMeta } from 'raft-ts';
import { codeOf, FAILURES, type FailureCode, messageOf, ShoalError } from '#proto/base/errors.ts';
import type {
  RaftFrame,
  RaftConfState as WireConfState,
  RaftEntry as WireEntry,
  RaftMember as WireMember,
  RaftMessage as WireMessage,
  RaftSnapshotMeta as WireSnapshotMeta,
} from '#proto/gen/shoal.ts';
import { decode, encode, type Input } from '#proto/rpc/codec.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Membership, Peer } from './membership.ts';

/* raft-ts's values <-> their form between managers. Absent numbers are 0 on the wire. */

const NOTHING = new Uint8Array();

/** What a snapshot carries beside its data: where it stands in the log, and who is a member there. */
export interface SnapshotInfo {
  readonly index: number;
  readonly term: number;
  readonly membership: Membership;
}

/** raft-ts's name for a snapshot; the membership travels in its data. */
export function snapshotOf(info: SnapshotInfo): Snapshot {
  const meta: SnapshotMeta = {
    index: info.index,
    term: info.term,
    confState: info.membership.confState,
  };
  return { meta, data: encodeSnapshotInfo(info) };
}

/** The wire form of a snapshot's name; also what its file starts with. */
export function encodeSnapshotInfo(info: SnapshotInfo): Uint8Array {
  return encode('RaftSnapshotMeta', wireSnapshot(info));
}

/** Throws INVALID_ARGUMENT on what is no name of a snapshot. */
export function decodeSnapshotInfo(bytes: Uint8Array): SnapshotInfo {
  return readSnapshot(decode('RaftSnapshotMeta', bytes));
}

function wireSnapshot({ index, term, membership }: SnapshotInfo): Input<WireSnapshotMeta> {
  return {
    index,
    term,
    confState: membership.confState,
    members: membership.peers,
    nextRaftId: membership.nextRaftId,
  };
}

function readSnapshot(wire: WireSnapshotMeta): SnapshotInfo {
  const { index, term, nextRaftId } = wire;
  const membership = {
    peers: wire.members.map(readPeer),
    confState: readConfState(wire.confState),
    nextRaftId,
  };
  return { index, term, membership };
}

function readConfState(wire: WireConfState | null | undefined): ConfState {
  if (!wire) throw new ShoalError('INVALID_ARGUMENT', 'a Raft snapshot says who votes; this one does not');
  const { voters, learners, votersOutgoing, learnersNext, autoLeave } = wire;
  return { voters, learners, votersOutgoing, learnersNext, autoLeave };
}

export function readPeer(wire: WireMember): Peer {
  const { raftId, nodeId, raftAddr, controlAddr } = wire;
  return { raftId, nodeId: nodeId as NodeId, raftAddr, controlAddr };
}

/** The context of a conf change: the member it is about. */
export function encodePeer(peer: Peer): Uint8Array {
  return encode('RaftMember', peer);
}

export function messageToWire(message: Message): Input<WireMessage> {
  return { ...headToWire(message), entries: message.entries };
}

/** A message without its entries. */
export function headToWire(message: Message): Input<WireMessage> {
  const { type, to, from, term, logTerm, index, commit, vote, reject, rejectHint, context } = message;
  const head = { type, to, from, term, logTerm, index, commit, vote, reject, rejectHint, context };
  if (message.snapshot === undefined) return head;
  return { ...head, snapshot: decode('RaftSnapshotMeta', message.snapshot.data) };
}

/** The message itself; entries' data are views of what was received. */
export function messageFromWire(wire: WireMessage): Message {
  const { to, from, term, logTerm, index, commit, vote, reject, rejectHint } = wire;
  return {
    type: wire.type as MessageType,
    to,
    from,
    term,
    logTerm,
    index,
    commit,
    vote,
    reject,
    rejectHint,
    entries: wire.entries.map(readEntry),
    ...(wire.context.length > 0 && { context: wire.context }),
    ...(wire.snapshot && { snapshot: snapshotOf(readSnapshot(wire.snapshot)) }),
  };
}

function readEntry(wire: WireEntry): Entry {
  const { type, term, index, data } = wire;
  return { type: type as EntryType, term, index, data };
}

/** One frame of a line between managers. */
export function encodeFrame(frame: Input<RaftFrame>): Uint8Array {
  return encode('RaftFrame', frame);
}

/** What a frame says; bytes in it are views of `content`. Throws on what is none. */
export function decodeFrame(content: Uint8Array): RaftFrame {
  return decode('RaftFrame', content);
}

/** The frame that tells the other end why it is not listened to. */
export function refusalOf(error: unknown): Input<RaftFrame> {
  return { refusal: { code: codeOf(error), message: messageOf(error) } };
}

/** What the other end failed with, if that is what it says. */
export function failureIn({ refusal }: RaftFrame): ShoalError | undefined {
  if (!refusal) return undefined;
  const { code, message } = refusal;
  return new ShoalError(Object.hasOwn(FAILURES, code) ? (code as FailureCode) : 'INTERNAL', message);
}

/** About what a message takes on the wire. */
export function messageBytes(message: Message): number {
  let bytes = 64 + (message.context ?? NOTHING).length + (message.snapshot?.data ?? NOTHING).length;
  for (const entry of message.entries ?? []) bytes += 24 + entry.data.length;
  return bytes;
}
