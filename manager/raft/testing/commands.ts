import {
  type ConfChange,
  type ConfChangeTransition,
  ConfChangeType,
  type ConfState,
  EntryType,
  encodeConfChange,
  MessageType,
  type PeerId,
  ProposalDroppedError,
  type ReadMode,
  type Snapshot,
} from '../src/index.ts';
import { describeEntry, describeMessageType, describeProgress, describeRole } from './describe.ts';
import type { InteractionEnv, OutputLevel } from './interaction-env.ts';
import type { ScriptCase } from './script.ts';

type Command = (env: InteractionEnv, script: ScriptCase) => void;

const ELECTION_TICKS = 3;
const HEARTBEAT_TICKS = 1;

/** What the scripts can do. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  'log-level': (env, { args }) => {
    env.level = (args[0]?.key ?? 'info').toLowerCase() as OutputLevel;
  },
  'add-nodes': addNodes,
  campaign: (env, script) => env.node(idOf(script)).node.campaign(),
  propose: (env, script) =>
    void env.node(idOf(script)).node.propose(new TextEncoder().encode(script.args[1]?.key ?? '')),
  'propose-conf-change': proposeConfChange,
  'tick-heartbeat': (env, script) => ticks(env, script, HEARTBEAT_TICKS),
  'tick-election': (env, script) => ticks(env, script, ELECTION_TICKS),
  'set-randomized-election-timeout': (env, script) => {
    env.node(idOf(script)).raft.electionTimeout = numberOf(script, 'timeout') ?? ELECTION_TICKS;
  },
  'forget-leader': (env, script) => env.node(idOf(script)).node.forgetLeader(),
  'leader-gone': (env, script) => env.node(idOf(script)).node.leaderGone(),
  'transfer-leadership': (env, script) =>
    env.node(numberOf(script, 'from') ?? 0).node.transferLeader(numberOf(script, 'to') ?? 0),
  'read-index': (env, script) =>
    env.node(idOf(script)).node.readIndex(new TextEncoder().encode(script.args[1]?.key ?? '')),
  'report-unreachable': (env, script) => env.node(idOf(script)).node.reportUnreachable(idsOf(script)[1] ?? 0),
  compact: (env, script) => env.node(idOf(script)).storage.compact(idsOf(script)[1] ?? 0),
  'raft-log': printLog,
  'raft-state': printStates,
  status: (env, script) => {
    for (const progress of env.node(idOf(script)).node.status().progress)
      env.print([`${progress.id}: ${describeProgress(progress)}`]);
  },
  'deliver-msgs': deliverMessages,
  'process-ready': (env, script) => each(env, script, 'handling Ready', (id) => env.processReady(id)),
  'process-append-thread': (env, script) =>
    each(env, script, 'processing append thread', (id) => env.processAppend(id)),
  'process-apply-thread': (env, script) =>
    each(env, script, 'processing apply thread', (id) => env.processApply(id)),
  stabilize: (env, script) => {
    const level = firstOf(script, 'log-level') as OutputLevel | undefined;
    env.quietly(level ?? env.level, () => stabilize(env, idsOf(script)));
  },
};

/** The arguments that are member ids. */
function idsOf({ args }: ScriptCase): PeerId[] {
  return args.filter(({ key }) => /^\d+$/.test(key)).map(({ key }) => Number(key));
}

function idOf(script: ScriptCase): PeerId {
  return idsOf(script)[0] ?? 0;
}

function valuesOf({ args }: ScriptCase, key: string): readonly string[] {
  return args.find((arg) => arg.key === key)?.values ?? [];
}

function firstOf(script: ScriptCase, key: string): string | undefined {
  return valuesOf(script, key)[0];
}

function numberOf(script: ScriptCase, key: string): number | undefined {
  const value = firstOf(script, key);
  return value === undefined ? undefined : Number(value);
}

function isSet(script: ScriptCase, key: string): boolean {
  return firstOf(script, key) === 'true';
}

/** Members that start from one snapshot, or without one: to be added later. */
function addNodes(env: InteractionEnv, script: ScriptCase): void {
  const index = numberOf(script, 'index');
  const members = (key: string): PeerId[] => valuesOf(script, key).map(Number);
  const confState: ConfState = {
    voters: members('voters'),
    learners: members('learners'),
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  const data = new TextEncoder().encode(firstOf(script, 'content') ?? '');
  const initial: Snapshot | undefined =
    index === undefined ? undefined : { meta: { index, term: 1, confState }, data };
  for (let count = idOf(script); count > 0; count -= 1)
    env.addNode({ ...optsOf(script), ...(index === undefined ? {} : { applied: index }) }, initial);
}

function optsOf(script: ScriptCase) {
  const reads: ReadMode = firstOf(script, 'read-only') === 'lease-based' ? 'lease' : 'safe';
  const committedBytesMax = numberOf(script, 'max-committed-size-per-ready');
  return {
    electionTicks: ELECTION_TICKS,
    heartbeatTicks: HEARTBEAT_TICKS,
    messageBytesMax: numberOf(script, 'max-size-per-msg') ?? Number.POSITIVE_INFINITY,
    inflightMessagesMax: numberOf(script, 'inflight') ?? Number.POSITIVE_INFINITY,
    ...(committedBytesMax === undefined ? {} : { committedBytesMax }),
    reads,
    asyncStorageWrites: isSet(script, 'async-storage-writes'),
    preVote: isSet(script, 'prevote'),
    checkQuorum: isSet(script, 'checkquorum'),
    stepDownOnRemoval: isSet(script, 'step-down-on-removal'),
    disableConfChangeValidation: isSet(script, 'disable-conf-change-validation'),
  };
}

const CHANGE_TYPES: Readonly<Record<string, ConfChangeType>> = {
  v: ConfChangeType.AddNode,
  r: ConfChangeType.RemoveNode,
  u: ConfChangeType.UpdateNode,
  l: ConfChangeType.AddLearnerNode,
};

/** Changes as in `v1 l2 r3 u4`: voter, learner, removed, updated. */
export function parseChanges(words: readonly string[]): ConfChange['changes'] {
  return words
    .flatMap((line) => line.split(/\s+/))
    .filter((word) => word !== '')
    .map((word) => {
      const type = CHANGE_TYPES[word.charAt(0)];
      if (type === undefined) throw new Error(`no change ${word}`);
      return { type, nodeId: Number(word.slice(1)) };
    });
}

const TRANSITIONS: Readonly<Record<string, ConfChangeTransition>> = {
  auto: 'auto',
  implicit: 'joint-implicit',
  explicit: 'joint-explicit',
};

/** `v1`: as an entry that changes one member. */
function proposeConfChange(env: InteractionEnv, script: ScriptCase): void {
  const { node } = env.node(idOf(script));
  const transition = TRANSITIONS[firstOf(script, 'transition') ?? 'auto'] ?? 'auto';
  const change: ConfChange = { transition, changes: parseChanges(script.input), context: new Uint8Array() };
  if (!isSet(script, 'v1')) {
    node.proposeConfChange(change);
    return;
  }
  const { id } = node.status();
  const entry = { type: EntryType.ConfChange, term: 0, index: 0, data: encodeConfChange(change) };
  const taken = node.step({ type: MessageType.Prop, to: id, from: id, term: 0, entries: [entry] });
  if (!taken) throw new ProposalDroppedError();
}

function ticks(env: InteractionEnv, script: ScriptCase, count: number): void {
  for (let done = 0; done < count; done += 1) env.node(idOf(script)).node.tick();
}

/** What is durable. */
function printLog(env: InteractionEnv, script: ScriptCase): void {
  const { storage } = env.node(idOf(script));
  const [first, last] = [storage.firstIndex(), storage.lastIndex()];
  if (last < first) env.print([`log is empty: first index=${first}, last index=${last}`]);
  else env.print(storage.entries(first, last + 1, Number.POSITIVE_INFINITY).map(describeEntry));
}

function printStates(env: InteractionEnv): void {
  for (const { node } of env.nodes) {
    const { id, role, term, leader, confState } = node.status();
    const votes = confState.voters.includes(id) || confState.votersOutgoing.includes(id);
    env.print([
      `${id}: ${describeRole(role)} (${votes ? 'Voter' : 'Non-Voter'}) Term:${term} Lead:${leader}`,
    ]);
  }
}

function deliverMessages(env: InteractionEnv, script: ScriptCase): void {
  const name = firstOf(script, 'type');
  const type = Object.values(MessageType).find((value) => describeMessageType(value) === name);
  const narrowed = type === undefined ? {} : { type };
  let count = 0;
  for (const to of idsOf(script)) count += env.deliver({ to, drop: false, ...narrowed });
  for (const to of valuesOf(script, 'drop').map(Number))
    count += env.deliver({ to, drop: true, ...narrowed });
  if (count === 0) env.print(['no messages']);
}

/** For one member just so, for several each with a headline. */
function each(env: InteractionEnv, script: ScriptCase, what: string, carryOut: (id: PeerId) => void): void {
  const ids = idsOf(script);
  for (const id of ids) {
    if (ids.length === 1) carryOut(id);
    else env.section(`> ${id} ${what}`, () => carryOut(id));
  }
}

/** Lets these members, or all, work until none has anything left to do. */
function stabilize(env: InteractionEnv, chosen: readonly PeerId[]): void {
  const ids = chosen.length > 0 ? chosen : env.nodes.map((_, at) => at + 1);
  while (ids.some((id) => isBusy(env, id))) {
    const phase = (what: string, isDue: (id: PeerId) => boolean, carryOut: (id: PeerId) => void): void => {
      for (const id of ids) if (isDue(id)) env.section(`> ${id} ${what}`, () => carryOut(id));
    };
    phase(
      'handling Ready',
      (id) => env.node(id).node.hasReady(),
      (id) => env.processReady(id),
    );
    phase(
      'receiving messages',
      (id) => env.hasMessages(id),
      (to) => void env.deliver({ to, drop: false }),
    );
    phase(
      'processing append thread',
      (id) => env.node(id).appends.length > 0,
      (id) => {
        while (env.node(id).appends.length > 0) env.processAppend(id);
      },
    );
    phase(
      'processing apply thread',
      (id) => env.node(id).applies.length > 0,
      (id) => {
        while (env.node(id).applies.length > 0) env.processApply(id);
      },
    );
  }
}

function isBusy(env: InteractionEnv, id: PeerId): boolean {
  const { node, appends, applies } = env.node(id);
  return node.hasReady() || env.hasMessages(id) || appends.length > 0 || applies.length > 0;
}
