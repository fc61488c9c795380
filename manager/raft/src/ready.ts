import type { Raft } from './raft.ts';
import {
  type Entry,
  type HardState,
  LOCAL_APPEND,
  LOCAL_APPLY,
  type Message,
  MessageType,
  type Ready,
  type Snapshot,
  type SoftState,
} from './types.ts';

/*
 * From the state of a member to what its caller has to do. Nothing here changes the state.
 */

/** What the last Ready said of states; only news are told again. */
export interface Told {
  readonly hardState: HardState;
  readonly softState: SoftState;
}

/** Would makeReady say anything? */
export function hasReady(raft: Raft, told: Told): boolean {
  const { log } = raft;
  return (
    raft.messages.length > 0 ||
    raft.messagesAfterAppend.length > 0 ||
    log.unstable.hasNextEntries ||
    log.hasNextCommitted(!raft.settings.asyncStorageWrites) ||
    raft.reads.roundDue ||
    raft.readStates.length > 0 ||
    log.unstable.nextSnapshot() !== undefined ||
    !sameSoftState(raft.softState, told.softState) ||
    !sameHardState(raft.hardState, told.hardState)
  );
}

/** What is to be done now; asking again gives the same, until the caller of this notes that it was handed out. */
export function makeReady(raft: Raft, told: Told): Ready {
  const { hardState, softState } = raft;
  const { log, settings } = raft;
  const entries = log.unstable.nextEntries();
  const snapshot = log.unstable.nextSnapshot();
  const committedEntries = log.nextCommitted(!settings.asyncStorageWrites);
  const isNewHardState = !sameHardState(hardState, told.hardState);
  const work: Work = {
    entries,
    committedEntries,
    ...(isNewHardState ? { hardState } : {}),
    ...(snapshot === undefined ? {} : { snapshot }),
  };
  return {
    ...work,
    ...(sameSoftState(softState, told.softState) ? {} : { softState }),
    readStates: raft.readStates,
    messages: settings.asyncStorageWrites ? asyncMessages(raft, work) : syncMessages(raft),
    mustSync:
      entries.length > 0 || hardState.term !== told.hardState.term || hardState.vote !== told.hardState.vote,
  };
}

type Work = Pick<Ready, 'entries' | 'committedEntries' | 'hardState' | 'snapshot'>;

function sameHardState(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.vote === b.vote && a.commit === b.commit;
}

function sameSoftState(a: SoftState, b: SoftState): boolean {
  return a.leader === b.leader && a.role === b.role;
}

/** Everything for peers: the caller sends it after writing. What we told ourselves is stepped by advance(). */
function syncMessages(raft: Raft): readonly Message[] {
  if (raft.messagesAfterAppend.length === 0) return raft.messages;
  return [...raft.messages, ...raft.messagesAfterAppend.filter(({ to }) => to !== raft.id)];
}

/** What may go at once, and the work for storage with what may go after it. */
function asyncMessages(raft: Raft, work: Work): readonly Message[] {
  const messages = [...raft.messages];
  const { entries, hardState, snapshot, committedEntries } = work;
  const responses = [...raft.messagesAfterAppend, ...appendResponses(raft, snapshot)];
  if (entries.length > 0 || hardState || snapshot || raft.messagesAfterAppend.length > 0)
    messages.push(storageAppend(raft, work, responses));
  if (committedEntries.length > 0) messages.push(storageApply(raft, committedEntries));
  return messages;
}

function storageAppend(raft: Raft, work: Work, responses: readonly Message[]): Message {
  return {
    type: MessageType.StorageAppend,
    to: LOCAL_APPEND,
    from: raft.id,
    term: 0,
    ...work.hardState,
    ...(work.entries.length > 0 ? { entries: work.entries } : {}),
    ...(work.snapshot === undefined ? {} : { snapshot: work.snapshot }),
    responses,
  };
}

function storageApply(raft: Raft, entries: readonly Entry[]): Message {
  return {
    type: MessageType.StorageApply,
    to: LOCAL_APPLY,
    from: raft.id,
    term: 0,
    entries,
    responses: [applyResponse(raft, entries)],
  };
}

/** Says later that these entries are applied. */
export function applyResponse(raft: Raft, entries: readonly Entry[]): Message {
  return { type: MessageType.StorageApplyResp, to: raft.id, from: LOCAL_APPLY, term: 0, entries };
}

/**
 * Says later that the log as it is now is durable: its last entry, under the term we are in now, tells whether that is
 * still true by then. Also for entries that are being written already, whose own report a change of term may have made
 * worthless.
 */
export function appendResponses(raft: Raft, snapshot: Snapshot | undefined): readonly Message[] {
  const { log, term, id } = raft;
  const hasEntries = log.unstable.length > 0;
  if (!hasEntries && snapshot === undefined) return [];
  const { last } = log;
  return [
    {
      type: MessageType.StorageAppendResp,
      to: id,
      from: LOCAL_APPEND,
      term,
      ...(hasEntries ? { index: last.index, logTerm: last.term } : {}),
      ...(snapshot === undefined ? {} : { snapshot }),
    },
  ];
}
