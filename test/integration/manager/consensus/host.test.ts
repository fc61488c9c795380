import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { CommittedEntry, Consensus, StateMachine } from '#manager/consensus/consensus.ts';
import { machineDisk } from '#manager/consensus/disk.ts';
import { dumpState } from '#manager/consensus/dump.ts';
import { startConsensus } from '#manager/consensus/host.ts';
import type { StartOpts } from '#manager/consensus/opts.ts';
import { hasRaftState } from '#manager/consensus/state.ts';
import { type Log, nullLog } from '#proto/base/log.ts';
import { type Metrics, nullMetrics } from '#proto/base/metrics.ts';
import { type TestCa, type TestNode, testCa } from '#test/support/certificates.ts';
import { freePort } from '#test/support/free-port.ts';

const LIMITS = {
  snapshotEveryEntries: 50,
  snapshotPauseMs: 0,
  logEntriesForSlowFollowers: 5,
  segmentBytes: 1024 * 1024,
};

/** No thread of a busy machine waits for its turn as long as an election takes with these. */
const PATIENT = { ...LIMITS, tickMs: 100, electionTicks: 25 };
/** Every manager that heard nothing for so long would stand for election. */
const HELD_UP_MS = 2 * PATIENT.tickMs * PATIENT.electionTicks;

class Lines implements StateMachine {
  lines: string[] = [];
  restores = 0;

  apply(entries: readonly CommittedEntry[]): void {
    for (const { data } of entries) if (data.length > 0) this.lines.push(Buffer.from(data).toString());
  }

  *snapshot(): Generator<Uint8Array> {
    for (const line of [...this.lines]) yield Buffer.from(line);
  }

  async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.lines = [];
    this.restores += 1;
    for await (const chunk of chunks) this.lines.push(Buffer.from(chunk).toString());
  }
}

/** One manager in this process, its Raft in a thread. */
class Host implements AsyncDisposable {
  machine = new Lines();
  readonly node: TestNode;
  readonly directory: string;
  readonly port: number;
  consensus!: Consensus;

  private constructor(node: TestNode, port: number) {
    this.node = node;
    this.port = port;
    this.directory = mkdtempSync(join(tmpdir(), 'shoal-consensus-host-'));
  }

  static async make(ca: TestCa): Promise<Host> {
    return new Host(await ca.node('manager'), await freePort());
  }

  get self() {
    const addr = `127.0.0.1:${this.port}`;
    return { nodeId: this.node.nodeId, raftAddr: addr, controlAddr: addr };
  }

  async start(
    start: StartOpts,
    modules: { log?: Log; metrics?: Metrics } = {},
    limits: object = LIMITS,
  ): Promise<void> {
    this.machine = new Lines();
    this.consensus = await startConsensus(
      {
        stateDir: this.directory,
        self: this.self,
        listen: { host: '127.0.0.1', port: this.port },
        start,
        limits,
      },
      {
        identity: this.node.identity,
        stateMachine: this.machine,
        log: nullLog,
        metrics: nullMetrics,
        onFailure: (error) => {
          throw error;
        },
        ...modules,
      },
    );
  }

  async bootstrap(limits?: object): Promise<void> {
    await this.start({ kind: 'bootstrap' }, {}, limits);
    await leads(this.consensus);
  }

  async write(count: number): Promise<string[]> {
    const texts = Array.from({ length: count }, (_, at) => `${this.machine.lines.length + at}`);
    await Promise.all(texts.map((text) => this.consensus.propose(Buffer.from(text))));
    return texts;
  }

  async stop(): Promise<void> {
    await this.consensus[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.consensus?.[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function leads(consensus: Consensus): Promise<void> {
  return told(
    () => consensus.leadership().leading,
    (changed) => consensus.onLeadership(changed),
  );
}

/** Waits until a condition holds, looking again whenever there is news. */
async function told(condition: () => boolean, listen: (changed: () => void) => () => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    if (condition()) resolve();
  };
  const stop = listen(look);
  look();
  await promise;
  stop();
}

test('a manager that joins over mTLS is sent the snapshot and the log, and votes', async (t) => {
  const ca = await testCa();
  await using first = await Host.make(ca);
  await using second = await Host.make(ca);
  await first.bootstrap();
  await first.write(120);
  const member = await first.consensus.addMember(second.self);
  const members = first.consensus.members();
  await second.start({ kind: 'join', raftId: member.raftId, members });
  const votes = () =>
    first.consensus.members().some(({ raftId, learner }) => raftId === member.raftId && !learner);
  await told(votes, (changed) => first.consensus.onMembers(changed));
  await first.write(10);
  await second.consensus.readBarrier();
  t.deepEqual(second.machine.lines, first.machine.lines);
  t.is(second.machine.lines.length, 130);
  t.is(second.machine.restores, 1);
  const { members: standing } = await first.consensus.status();
  t.deepEqual(
    standing.map(({ reachable }) => reachable),
    [true, true],
  );
});

test('a manager that was stopped goes on where it was, and its state can be read meanwhile', async (t) => {
  const ca = await testCa();
  await using host = await Host.make(ca);
  t.false(hasRaftState(machineDisk, host.directory));
  await host.bootstrap();
  const before = await host.write(70);
  await host.stop();
  t.true(hasRaftState(machineDisk, host.directory));
  const kinds = new Set([...dumpState(machineDisk, host.directory)].map((line) => line.kind));
  t.true(kinds.has('identity') && kinds.has('entry'));
  await host.start({ kind: 'restart' });
  await leads(host.consensus);
  const after = await host.write(5);
  t.deepEqual(host.machine.lines, [...before, ...after]);
});

test('a main thread that is held up for long makes nobody doubt its manager', async (t) => {
  const ca = await testCa();
  await using first = await Host.make(ca);
  await using second = await Host.make(ca);
  await first.bootstrap(PATIENT);
  const { raftId } = await first.consensus.addMember(second.self);
  await second.start({ kind: 'join', raftId, members: first.consensus.members() }, {}, PATIENT);
  const votes = () => first.consensus.members().every(({ learner }) => !learner);
  await told(votes, (changed) => first.consensus.onMembers(changed));
  const { term } = await first.consensus.status();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HELD_UP_MS);
  await first.write(1);
  t.is((await second.consensus.status()).term, term);
});

test('damaged state is refused with what to do, and nothing keeps running', async (t) => {
  const ca = await testCa();
  await using host = await Host.make(ca);
  await host.bootstrap();
  for (let round = 0; round < 5; round += 1) await host.write(1);
  await host.stop();
  const log = join(host.directory, 'log');
  const segment = join(log, readdirSync(log).filter((name) => name.endsWith('.wal'))[0] as string);
  const bytes = readFileSync(segment);
  bytes[4096 + 60] = (bytes[4096 + 60] as number) ^ 1;
  writeFileSync(segment, bytes);
  await t.throwsAsync(host.start({ kind: 'restart' }), {
    code: 'FAILED_PRECONDITION',
    message: /is damaged at byte 4096.*Nothing was changed\. .*docker node demote/,
  });
});

test('an address that is taken is refused, and said', async (t) => {
  const ca = await testCa();
  await using host = await Host.make(ca);
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(host.port, '127.0.0.1', resolve));
  await t.throwsAsync(host.start({ kind: 'bootstrap' }), { code: 'UNAVAILABLE', message: /can't listen on/ });
  await new Promise((resolve) => taken.close(resolve));
});

test('what the thread logs and measures arrives', async (t) => {
  const ca = await testCa();
  await using host = await Host.make(ca);
  const lines: string[] = [];
  const say = (message: string): void => void lines.push(message);
  const log: Log = { debug: say, info: say, warn: say, error: say, child: () => log };
  const measured = new Map<string, number>();
  const sampler = (name: string) => (value: number) => void measured.set(name, value);
  const metrics: Metrics = {
    counter: (name) => ({ inc: (by = 1) => sampler(name)(by) }),
    gauge: (name) => ({ set: sampler(name) }),
    histogram: (name) => ({ observe: sampler(name) }),
    onScrape: () => () => undefined,
  };
  await host.start({ kind: 'bootstrap' }, { log, metrics });
  await leads(host.consensus);
  await host.write(3);
  await host.stop();
  t.true(lines.includes('raft: role-changed'));
  t.true((measured.get('shoal_raft_commit_index') ?? 0) >= 4);
  t.true((measured.get('shoal_raft_fsync_seconds') ?? 0) > 0);
});
