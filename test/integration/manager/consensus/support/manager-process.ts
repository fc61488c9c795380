import { writeSync } from 'node:fs';
import type { CommittedEntry, Consensus, Member, StateMachine } from '#manager/consensus/consensus.ts';
import { type ConsensusOpts, startConsensus } from '#manager/consensus/host.ts';
import { nullLog } from '#proto/base/log.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import { HeldIdentity } from '#proto/rpc/identity.ts';
import type { TlsIdentity } from '#proto/rpc/types.ts';

/*
 * A manager as a process to be killed: no more than consensus and a state machine that keeps words. When told to, it
 * writes one word after the other, and says which were acknowledged before it goes on.
 */

/** What the process is told over its channel. */
export type Command =
  | { readonly do: 'start'; readonly opts: ConsensusOpts; readonly identity: TlsIdentity }
  /** Words `prefix`0, `prefix`1, ... until it is killed. */
  | { readonly do: 'write'; readonly prefix: string }
  /** Every word there is, once all that was committed before is applied. */
  | { readonly do: 'list' }
  /** The main thread does nothing for so long; its Raft thread goes on. */
  | { readonly do: 'stall'; readonly ms: number }
  | { readonly do: 'add'; readonly member: Omit<Member, 'learner' | 'raftId'> };

class Words implements StateMachine {
  readonly all = new Set<string>();

  apply(entries: readonly CommittedEntry[]): void {
    for (const { data } of entries) if (data.length > 0) this.all.add(Buffer.from(data).toString());
  }

  *snapshot(): Generator<Uint8Array> {
    for (const word of [...this.all]) yield Buffer.from(word);
  }

  async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.all.clear();
    for await (const chunk of chunks) this.all.add(Buffer.from(chunk).toString());
  }
}

/** How long what reads us is given to make room. */
const FULL_PIPE_MS = 1;

const words = new Words();
let consensus: Consensus | undefined;

/** A line that has left this process when the call returns, however long: what reads it may be slow. */
function say(what: string, value: unknown): void {
  const line = Buffer.from(`${what} ${JSON.stringify(value)}\n`);
  for (let at = 0; at < line.length; ) at += writeSome(line.subarray(at));
}

function writeSome(bytes: Buffer): number {
  try {
    return writeSync(1, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    stall(FULL_PIPE_MS);
    return 0;
  }
}

async function carryOut(command: Command): Promise<void> {
  if (command.do === 'start') return start(command.opts, command.identity);
  if (consensus === undefined) throw new Error('not started');
  if (command.do === 'write') return write(consensus, command.prefix);
  if (command.do === 'stall') return stall(command.ms);
  if (command.do === 'add') return say('added', await consensus.addMember(command.member));
  await consensus.readBarrier();
  say('words', [...words.all]);
}

async function start(opts: ConsensusOpts, identity: TlsIdentity): Promise<void> {
  consensus = await startConsensus(opts, {
    identity: new HeldIdentity(identity),
    stateMachine: words,
    log: nullLog,
    metrics: nullMetrics,
    onFailure: (error) => say('failed', error.message),
  });
  consensus.onLeadership((leadership) => say('leadership', leadership));
  consensus.onMembers((members) => say('members', members));
  say('members', consensus.members());
  say('leadership', consensus.leadership());
}

function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

async function write(to: Consensus, prefix: string): Promise<void> {
  for (let count = 0; ; count += 1) {
    await to.propose(Buffer.from(`${prefix}${count}`));
    say('acked', `${prefix}${count}`);
  }
}

process.on('message', (command: Command) => {
  carryOut(command).catch((error: unknown) => say(`${command.do}-error`, String(error)));
});
process.on('disconnect', () => process.exit(0));
