import { ConfChangeError } from './errors.ts';
import {
  type ConfChange,
  type ConfChangeSingle,
  ConfChangeType,
  type ConfState,
  type PeerId,
} from './types.ts';

/*
 * Which members there are, and how that changes: values in, values out. All lists are sorted, and hold each member once.
 */

/** Nobody yet: a member that waits for its first snapshot. */
export const NO_MEMBERS: ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};

/** The change that leaves a joint configuration. */
export const LEAVE_JOINT: ConfChange = { transition: 'auto', changes: [], context: new Uint8Array() };

/** Do two sides have to agree? */
export function isJoint(conf: ConfState): boolean {
  return conf.votersOutgoing.length > 0;
}

/** Everybody whose log the leader looks after: voters of either side and learners. Sorted. */
export function membersOf(conf: ConfState): PeerId[] {
  return sorted([...conf.voters, ...conf.votersOutgoing, ...conf.learners]);
}

/** Everybody with a vote, on either side. Sorted. */
export function votersOf(conf: ConfState): readonly PeerId[] {
  return isJoint(conf) ? sorted([...conf.voters, ...conf.votersOutgoing]) : conf.voters;
}

/** On either side. */
export function isVoter(conf: ConfState, id: PeerId): boolean {
  return conf.voters.includes(id) || conf.votersOutgoing.includes(id);
}

/** Does it ask to leave a joint configuration? */
export function leavesJoint(change: ConfChange): boolean {
  return change.transition === 'auto' && change.changes.length === 0;
}

/** The configuration after a committed change. Throws ConfChangeError when it is not allowed here. */
export function changeConf(conf: ConfState, change: ConfChange): ConfState {
  if (leavesJoint(change)) return leaveJoint(conf);
  const oneStep = change.transition === 'auto' && change.changes.length === 1;
  if (oneStep) return simpleChange(conf, change.changes);
  return enterJoint(conf, change.changes, change.transition !== 'joint-explicit');
}

/** Changes that touch at most one voter: any majority before meets any majority after (thesis, section 4.1). */
export function simpleChange(conf: ConfState, changes: readonly ConfChangeSingle[]): ConfState {
  if (isJoint(conf)) throw new ConfChangeError("can't apply simple config change in joint config");
  const next = applyChanges(conf, changes);
  const gone = conf.voters.filter((id) => !next.voters.includes(id));
  const come = next.voters.filter((id) => !conf.voters.includes(id));
  if (gone.length + come.length > 1)
    throw new ConfChangeError('more than one voter changed without entering joint config');
  return checked(next);
}

/** Any changes: until the joint configuration is left, the voters before and after must both agree. */
export function enterJoint(
  conf: ConfState,
  changes: readonly ConfChangeSingle[],
  autoLeave: boolean,
): ConfState {
  if (isJoint(conf)) throw new ConfChangeError('config is already joint');
  if (conf.voters.length === 0) throw new ConfChangeError("can't make a zero-voter config joint");
  return checked({ ...applyChanges({ ...conf, votersOutgoing: conf.voters }, changes), autoLeave });
}

/** The voters before have no say any more; those of them that are to be learners become it. */
export function leaveJoint(conf: ConfState): ConfState {
  if (!isJoint(conf)) throw new ConfChangeError("can't leave a non-joint config");
  return checked({
    voters: conf.voters,
    learners: sorted([...conf.learners, ...conf.learnersNext]),
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  });
}

function applyChanges(conf: ConfState, changes: readonly ConfChangeSingle[]): ConfState {
  let next = conf;
  for (const change of changes) {
    // Member 0 is nobody: a change that the proposer took back.
    if (change.nodeId !== 0) next = applyOne(next, change);
  }
  if (next.voters.length === 0) throw new ConfChangeError('removed all voters');
  return next;
}

function applyOne(conf: ConfState, { type, nodeId }: ConfChangeSingle): ConfState {
  switch (type) {
    case ConfChangeType.AddNode: {
      const rest = without(conf, nodeId);
      return { ...rest, voters: sorted([...rest.voters, nodeId]) };
    }
    case ConfChangeType.AddLearnerNode:
      return addLearner(conf, nodeId);
    case ConfChangeType.RemoveNode:
      return without(conf, nodeId);
    case ConfChangeType.UpdateNode:
      return conf;
  }
}

/** A voter of the outgoing side keeps its vote until that side is gone; only then does it become a learner. */
function addLearner(conf: ConfState, id: PeerId): ConfState {
  const rest = without(conf, id);
  return conf.votersOutgoing.includes(id)
    ? { ...rest, learnersNext: sorted([...rest.learnersNext, id]) }
    : { ...rest, learners: sorted([...rest.learners, id]) };
}

function without(conf: ConfState, id: PeerId): ConfState {
  const others = (ids: readonly PeerId[]): PeerId[] => ids.filter((other) => other !== id);
  return {
    ...conf,
    voters: others(conf.voters),
    learners: others(conf.learners),
    learnersNext: others(conf.learnersNext),
  };
}

/** A configuration as it was kept: sorted, and one that the rules could have made. Throws ConfChangeError. */
export function restoreConf(conf: ConfState): ConfState {
  return checked({
    voters: sorted(conf.voters),
    learners: sorted(conf.learners),
    votersOutgoing: sorted(conf.votersOutgoing),
    learnersNext: sorted(conf.learnersNext),
    autoLeave: conf.autoLeave,
  });
}

/** What must hold for every configuration. */
function checked(conf: ConfState): ConfState {
  for (const id of conf.learners)
    if (isVoter(conf, id)) throw new ConfChangeError(`member ${id} is both learner and voter`);
  for (const id of conf.learnersNext) {
    if (!conf.votersOutgoing.includes(id) || conf.voters.includes(id))
      throw new ConfChangeError(`member ${id} is to be a learner, but is no outgoing voter`);
  }
  if (!isJoint(conf) && conf.autoLeave)
    throw new ConfChangeError('a config that is not joint leaves nothing by itself');
  return conf;
}

function sorted(ids: readonly PeerId[]): PeerId[] {
  return [...new Set(ids)].sort((a, b) => a - b);
}
