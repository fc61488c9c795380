import {
  type ConfChange,
  ConfChangeType,
  type EntryId,
  type PeerId,
  type TraceEvent,
  type TraceKind,
} from '../src/index.ts';
import { describeConf, describeMessageType, describeProgress, describeRole } from './describe.ts';

/*
 * What happens inside a member, in the words of the scripts.
 */

type Of<K extends TraceKind> = Extract<TraceEvent, { kind: K }>;
type Describers = { readonly [K in TraceKind]?: (id: PeerId, event: Of<K>) => string | readonly string[] };

const CHANGE_NAMES: Record<ConfChangeType, string> = {
  [ConfChangeType.AddNode]: 'ConfChangeAddNode',
  [ConfChangeType.RemoveNode]: 'ConfChangeRemoveNode',
  [ConfChangeType.UpdateNode]: 'ConfChangeUpdateNode',
  [ConfChangeType.AddLearnerNode]: 'ConfChangeAddLearnerNode',
};

const TRANSITION_NAMES: Record<ConfChange['transition'], string> = {
  auto: 'Auto',
  'joint-implicit': 'JointImplicit',
  'joint-explicit': 'JointExplicit',
};

function voteName(pre: boolean): string {
  return pre ? 'MsgPreVote' : 'MsgVote';
}

function snapshotName({ index, term }: EntryId): string {
  return `snapshot [index: ${index}, term: ${term}]`;
}

function ballot(
  id: PeerId,
  verb: string,
  preposition: string,
  event: Of<'vote-cast' | 'vote-rejected' | 'vote-ignored'>,
): string {
  const { last, ownLast, ownVote, ownTerm, from, pre } = event;
  return (
    `${id} [logterm: ${ownLast.term}, index: ${ownLast.index}, vote: ${ownVote}] ${verb} ${voteName(pre)} ` +
    `${preposition} ${from} [logterm: ${last.term}, index: ${last.index}] at term ${ownTerm}`
  );
}

function changeText(change: ConfChange | undefined): string {
  if (change === undefined) return 'malformed';
  const changes = change.changes.map(
    ({ type, nodeId }) => ` changes:{type:${CHANGE_NAMES[type]} node_id:${nodeId}}`,
  );
  return `transition:ConfChangeTransition${TRANSITION_NAMES[change.transition]}${changes.join('')}`;
}

function refusalText(reason: Of<'conf-change-refused'>['reason']): string {
  switch (reason.why) {
    case 'pending':
      return `possible unapplied conf change at index ${reason.index} (applied to ${reason.applied})`;
    case 'joint':
      return 'must transition out of joint config first';
    case 'not-joint':
      return 'not in joint state; refusing empty conf change';
    case 'malformed':
      return 'not a conf change';
  }
}

const MEMBERSHIP: Describers = {
  started: (id, { voters, term, commit, applied, last }) =>
    `newRaft ${id} [peers: [${voters.join(',')}], term: ${term}, commit: ${commit}, applied: ${applied}, ` +
    `lastindex: ${last.index}, lastterm: ${last.term}]`,
  'role-changed': (id, { role, term }) =>
    `${id} became ${describeRole(role)
      .replace('State', '')
      .replace('PreC', 'pre-c')
      .toLowerCase()} at term ${term}`,
  'conf-switched': (id, { conf }) => `${id} switched to configuration ${describeConf(conf)}`,
  'conf-change-refused': (id, { change, conf, reason }) =>
    `${id} ignoring conf change ${changeText(change)} at config ${describeConf(conf)}: ${refusalText(reason)}`,
  'leaving-joint': (_, { conf }) =>
    `initiating automatic transition out of joint configuration ${describeConf(conf)}`,
};

const ELECTIONS: Describers = {
  'election-started': (id, { term }) => `${id} is starting a new election at term ${term}`,
  'election-unpromotable': (id) => `${id} is unpromotable and can not campaign`,
  'vote-requested': (id, { pre, to, last, term }) =>
    `${id} [logterm: ${last.term}, index: ${last.index}] sent ${voteName(pre)} request to ${to} at term ${term}`,
  'vote-cast': (id, event) => ballot(id, 'cast', 'for', event),
  'vote-rejected': (id, event) => ballot(id, 'rejected', 'from', event),
  'vote-ignored': (id, event) =>
    `${ballot(id, 'ignored', 'from', event)}: lease is not expired (remaining ticks: ${event.remainingTicks})`,
  'vote-received': (id, { pre, from, granted, term }) =>
    `${id} received ${voteName(pre)}Resp ${granted ? '' : 'rejection '}from ${from} at term ${term}`,
  'votes-counted': (id, { pre, granted, rejected }) =>
    `${id} has received ${granted} ${voteName(pre)}Resp votes and ${rejected} vote rejections`,
  'quorum-lost': (id) => `${id} stepped down to follower since quorum is not active`,
  'leader-forgotten': (id, { leader, term }) => `${id} forgetting leader ${leader} at term ${term}`,
  'leader-kept': () => 'ignoring MsgForgetLeader due to ReadOnlyLeaseBased',
};

const MESSAGES: Describers = {
  'term-raised': (id, { type, from, term, ownTerm }) =>
    `${id} [term: ${ownTerm}] received a ${describeMessageType(type)} message with higher term from ${from} ` +
    `[term: ${term}]`,
  'message-outdated': (id, { type, from, term, ownTerm }) =>
    `${id} [term: ${ownTerm}] ignored a ${describeMessageType(type)} message with lower term from ${from} ` +
    `[term: ${term}]`,
  'proposal-dropped': (id, { why, term }) =>
    why === 'no-leader' ? `${id} no leader at term ${term}; dropping proposal` : [],
  'append-refused': (id, { from, prev, ownTermThere }) =>
    `${id} [logterm: ${ownTermThere}, index: ${prev.index}] rejected MsgApp ` +
    `[logterm: ${prev.term}, index: ${prev.index}] from ${from}`,
  'append-rejected': (id, { from, index, hint }) =>
    `${id} received MsgAppResp(rejected, hint: (index ${hint.index}, term ${hint.term})) from ${from} ` +
    `for index ${index}`,
  'progress-decreased': (id, { progress }) =>
    `${id} decreased progress of ${progress.id} to [${describeProgress(progress)}]`,
  'peer-unreachable': (id, { progress }) =>
    `${id} failed to send message to ${progress.id} because it is unreachable [${describeProgress(progress)}]`,
};

const LOGS: Describers = {
  'snapshot-sent': (id, { firstIndex, commit, snapshot, before, after }) => [
    `${id} [firstindex: ${firstIndex}, commit: ${commit}] sent snapshot[index: ${snapshot.index}, ` +
      `term: ${snapshot.term}] to ${before.id} [${describeProgress(before)}]`,
    `${id} paused sending replication messages to ${after.id} [${describeProgress(after)}]`,
  ],
  'snapshot-recovered': (id, { progress }) =>
    `${id} recovered from needing snapshot, resumed sending replication messages to ${progress.id} ` +
    `[${describeProgress(progress)}]`,
  'snapshot-restoring': (_, event) =>
    `log [committed=${event.commit}, applied=${event.applied}, applying=${event.applying}, ` +
    `unstable.offset=${event.unstableOffset}, unstable.offsetInProgress=${event.unstableOffsetInProgress}, ` +
    `len(unstable.Entries)=${event.unstableLength}] starts to restore ${snapshotName(event.snapshot)}`,
  'snapshot-restored': (id, { commit, last, snapshot }) => [
    `${id} [commit: ${commit}, lastindex: ${last.index}, lastterm: ${last.term}] restored ${snapshotName(snapshot)}`,
    `${id} [commit: ${commit}] restored ${snapshotName(snapshot)}`,
  ],
  'log-conflict': (_, { index, term, ownTerm }) =>
    `found conflict at index ${index} [existing term: ${ownTerm}, conflicting term: ${term}]`,
  'log-overwritten': (_, { from, whole }) =>
    whole
      ? `replace the unstable entries from index ${from}`
      : `truncate the unstable entries before index ${from}`,
  'stable-missing': (_, { index }) => `entry at index ${index} missing from unstable log; ignoring`,
};

const DESCRIBERS: Describers = { ...MEMBERSHIP, ...ELECTIONS, ...MESSAGES, ...LOGS };

/** The lines an event is printed as: none when the scripts have no words for its kind. */
export function describeTrace(id: PeerId, event: TraceEvent): readonly string[] {
  const describe = DESCRIBERS[event.kind] as
    | ((id: PeerId, event: TraceEvent) => string | readonly string[])
    | undefined;
  return [describe?.(id, event) ?? []].flat();
}
