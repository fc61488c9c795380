import {
  type ConfChange,
  ConfChangeType,
  type ConfState,
  decodeConfChange,
  type Entry,
  EntryType,
  type HardState,
  LOCAL_APPEND,
  LOCAL_APPLY,
  type Message,
  MessageType,
  type PeerId,
  type PeerProgress,
  type Ready,
  type Role,
  type Snapshot,
} from '../src/index.ts';

/*
 * Values in the words of the scripts.
 */

const ENTRY_NAMES: Record<EntryType, string> = {
  [EntryType.Normal]: 'EntryNormal',
  [EntryType.ConfChange]: 'EntryConfChange',
  [EntryType.ConfChangeV2]: 'EntryConfChangeV2',
};

const CHANGE_LETTERS: Record<ConfChangeType, string> = {
  [ConfChangeType.AddNode]: 'v',
  [ConfChangeType.RemoveNode]: 'r',
  [ConfChangeType.UpdateNode]: 'u',
  [ConfChangeType.AddLearnerNode]: 'l',
};

const ROLE_NAMES: Record<Role, string> = {
  follower: 'StateFollower',
  candidate: 'StateCandidate',
  'pre-candidate': 'StatePreCandidate',
  leader: 'StateLeader',
};

const PROGRESS_NAMES = { probe: 'StateProbe', replicate: 'StateReplicate', snapshot: 'StateSnapshot' };

/** As in `StateLeader`. */
export function describeRole(role: Role): string {
  return ROLE_NAMES[role];
}

/** As in `MsgApp`. */
export function describeMessageType(type: MessageType): string {
  const name = Object.entries(MessageType).find(([, value]) => value === type)?.[0];
  return `Msg${name}`;
}

function describeTarget(id: PeerId): string {
  if (id === LOCAL_APPEND) return 'AppendThread';
  return id === LOCAL_APPLY ? 'ApplyThread' : String(id);
}

/** As in `voters=(1 2)&&(3) learners=(4)`. */
export function describeConf(conf: ConfState): string {
  const group = (ids: readonly PeerId[]): string => `(${ids.join(' ')})`;
  const parts = [
    `voters=${group(conf.voters)}${conf.votersOutgoing.length > 0 ? `&&${group(conf.votersOutgoing)}` : ''}`,
  ];
  if (conf.learners.length > 0) parts.push(`learners=${group(conf.learners)}`);
  if (conf.learnersNext.length > 0) parts.push(`learners_next=${group(conf.learnersNext)}`);
  if (conf.autoLeave) parts.push('autoleave');
  return parts.join(' ');
}

/** As in `StateProbe match=1 next=2 paused`. */
export function describeProgress(progress: PeerProgress): string {
  const parts = [PROGRESS_NAMES[progress.state], `match=${progress.match}`, `next=${progress.next}`];
  if (progress.isLearner) parts.push('learner');
  if (progress.paused) parts.push('paused');
  if (progress.pendingSnapshot > 0) parts.push(`pendingSnap=${progress.pendingSnapshot}`);
  if (!progress.recentActive) parts.push('inactive');
  if (progress.inflightMessages > 0)
    parts.push(`inflight=${progress.inflightMessages}${progress.inflightFull ? '[full]' : ''}`);
  return parts.join(' ');
}

/** As in `v1 r2`. */
export function describeChanges(change: ConfChange): string {
  return change.changes.map(({ type, nodeId }) => `${CHANGE_LETTERS[type]}${nodeId}`).join(' ');
}

/** As in `1/2 EntryNormal "data"`. */
export function describeEntry(entry: Entry): string {
  const data =
    entry.type === EntryType.Normal
      ? JSON.stringify(new TextDecoder().decode(entry.data))
      : describeChanges(decodeConfChange(entry.data));
  return `${entry.term}/${entry.index} ${ENTRY_NAMES[entry.type]} ${data}`.trimEnd();
}

/** As in `Index:1 Term:1 ConfState:…`. */
export function describeSnapshot({ meta }: Snapshot): string {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = meta.confState;
  const list = (ids: readonly PeerId[]): string => `[${ids.join(' ')}]`;
  const conf =
    `Voters:${list(voters)} VotersOutgoing:${list(votersOutgoing)} Learners:${list(learners)} ` +
    `LearnersNext:${list(learnersNext)} AutoLeave:${autoLeave}`;
  return `Index:${meta.index} Term:${meta.term} ConfState:${conf}`;
}

/** Without what this package has added to messages, and the scripts do not know. */
function asInScripts(message: Message): Message {
  switch (message.type) {
    case MessageType.VoteResp:
    case MessageType.PreVoteResp:
      return { ...message, commit: 0, logTerm: 0 };
    case MessageType.TransferLeader:
      return { ...message, vote: 0 };
    default:
      return message;
  }
}

/** The lines of a message: the first one says it all, unless it carries much. */
export function describeMessage(whole: Message): string[] {
  const message = asInScripts(whole);
  const { type, from, to, term, logTerm = 0, index = 0, snapshot, responses = [] } = message;
  const head = [
    `${describeTarget(from)}->${describeTarget(to)} ${describeMessageType(type)}`,
    `Term:${term}`,
    `Log:${logTerm}/${index}`,
  ];
  if (message.reject) head.push(`Rejected (Hint: ${message.rejectHint ?? 0})`);
  if (message.commit) head.push(`Commit:${message.commit}`);
  if (message.vote) head.push(`Vote:${message.vote}`);
  const lines = withBlock(head.join(' '), 'Entries', (message.entries ?? []).map(describeEntry));
  if (snapshot !== undefined) lines.push(`  Snapshot: ${describeSnapshot(snapshot)}`);
  if (responses.length === 0) return lines;
  const last = lines.pop() as string;
  return [...lines, `${last} Responses:[`, ...indent(responses.flatMap(describeMessage)), ']'];
}

/** One is written on the line, several are written below it. */
function withBlock(line: string, name: string, inner: readonly string[]): string[] {
  if (inner.length === 0) return [line];
  if (inner.length === 1) return [`${line} ${name}:[${inner[0]}]`];
  return [`${line} ${name}:[`, ...indent(inner), ']'];
}

/** Two spaces before each line. */
export function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

function describeHardState({ term, vote, commit }: HardState): string {
  return `HardState Term:${term}${vote === 0 ? '' : ` Vote:${vote}`} Commit:${commit}`;
}

/** The lines of a Ready. */
export function describeReady(ready: Ready): string[] {
  const { softState, hardState, readStates, snapshot } = ready;
  const lines: string[] = [];
  if (softState) lines.push(`Lead:${softState.leader} State:${describeRole(softState.role)}`);
  if (hardState) lines.push(describeHardState(hardState));
  if (readStates.length > 0)
    lines.push('ReadStates:', ...readStates.map(({ index, context }) => `${index} ${text(context)}`));
  if (ready.entries.length > 0) lines.push('Entries:', ...ready.entries.map(describeEntry));
  if (snapshot) lines.push(`Snapshot ${describeSnapshot(snapshot)}`);
  if (ready.committedEntries.length > 0)
    lines.push('CommittedEntries:', ...ready.committedEntries.map(describeEntry));
  if (ready.messages.length > 0) lines.push('Messages:', ...ready.messages.flatMap(describeMessage));
  return lines.length === 0 ? ['<empty Ready>'] : [`Ready MustSync=${ready.mustSync}:`, ...lines];
}

function text(bytes: Uint8Array): string {
  return JSON.stringify(new TextDecoder().decode(bytes));
}
