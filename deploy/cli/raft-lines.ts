import type { DumpLine } from '#manager/consensus/dump.ts';
import type { Finding } from '#manager/consensus/finding.ts';
import type { Change } from '#manager/store/changes.ts';
import { decodeEntry, type EntryContent } from '#manager/store/log-entry.ts';
import type { TransactionPart } from '#manager/store/parts.ts';
import { messageOf } from '#proto/base/errors.ts';

/* What a dump of Raft state says, for people and for programs. */

/** A line of a dump for people. */
export function textOf(line: DumpLine): string {
  switch (line.kind) {
    case 'snapshot':
      return `snapshot ${line.path}: index ${line.index}, term ${line.term}, voters ${line.membership.confState.voters.join(' ')}`;
    case 'segment':
      return `segment ${line.path}: ${line.usedBytes} of ${line.bytes} bytes used`;
    case 'identity':
      return `  identity: manager ${line.raftId} of the group, node ${line.nodeId}`;
    case 'hard-state':
      return `  state: term ${line.term}, vote for ${line.vote}, commit ${line.commit}`;
    case 'restart':
      return `  the log goes on behind the snapshot of index ${line.index}, term ${line.term}`;
    case 'conf-change':
      return `  ${line.index} term ${line.term}: ${line.changes.join(', ')}${line.peer === undefined ? '' : ` (node ${line.peer.nodeId} at ${line.peer.controlAddr})`}`;
    case 'entry':
      return `  ${line.index} term ${line.term}: ${changesText(line.data)}`;
  }
}

/** The same as a JSON object. */
export function jsonOf(line: DumpLine): string {
  if (line.kind !== 'entry') return JSON.stringify(line);
  const { data, ...place } = line;
  return JSON.stringify({ ...place, ...contentOf(data) }, withoutSecrets);
}

/** Entries that the store of this version can't read. */
export function undecodable(lines: Iterable<DumpLine>): Finding[] {
  const findings: Finding[] = [];
  let path = '';
  for (const line of lines) {
    if (line.kind === 'segment') path = line.path;
    if (line.kind !== 'entry') continue;
    const problem = problemOf(line.data);
    if (problem !== undefined)
      findings.push({ path, state: 'damaged', detail: `entry ${line.index}: ${problem}` });
  }
  return findings;
}

function problemOf(data: Uint8Array): string | undefined {
  try {
    contentOf(data);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** A leader's first entry of its term has no data. */
function contentOf(data: Uint8Array): EntryContent {
  return data.length === 0 ? { transactions: [] } : decodeEntry(data);
}

function changesText(data: Uint8Array): string {
  if (data.length === 0) return 'a leader began its term';
  try {
    const { transactions, part } = contentOf(data);
    if (part !== undefined) return partText(part);
    return transactions.map(({ changes }) => changes.map(changeText).join('; ') || 'no change').join(' | ');
  } catch (error) {
    return `${data.length} bytes that cannot be read: ${messageOf(error)}`;
  }
}

function partText({ proposer, serial, number, count, data }: TransactionPart): string {
  const name = `transaction ${serial} of proposer ${proposer}`;
  if (count === 0) return `${name}, which is in parts, is given up`;
  return `part ${number} of ${count} of ${name}: ${data.length} bytes`;
}

function changeText({ kind, ...body }: Change): string {
  return `${kind} ${JSON.stringify(body, withoutSecrets)}`;
}

/** Who reads a dump need not be trusted with the cluster. */
const SECRET_FIELDS: readonly string[] = ['key', 'joinSecrets', 'data', 'unlockKey'];

function withoutSecrets(field: string, value: unknown): unknown {
  return SECRET_FIELDS.includes(field) ? '(left out)' : value;
}
