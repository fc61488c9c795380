import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { Consensus } from '#manager/consensus/consensus.ts';
import { startConsensus } from '#manager/consensus/host.ts';
import type { StartOpts } from '#manager/consensus/opts.ts';
import type { Change } from '#manager/store/changes.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import { PROPOSER_OPTS } from '#manager/store/proposer.ts';
import { ReplicatedStore } from '#manager/store/store.ts';
import { systemClock } from '#proto/base/clock.ts';
import { nullLog } from '#proto/base/log.ts';
import { nullMetrics } from '#proto/base/metrics.ts';
import { systemRandom } from '#proto/base/random.ts';
import type { NodeId, ServiceId } from '#proto/types/ids.ts';
import { type TestNode, testCa } from '#test/support/certificates.ts';
import { freePort } from '#test/support/free-port.ts';

const LIMITS = { snapshotEveryEntries: 40, logEntriesForSlowFollowers: 5, segmentBytes: 4 * 1024 * 1024 };
/** Of 200 KB each: 8 MB, some thirty parts. */
const SERVICES = 40;
const SERVICE_BYTES = 200_000;

/** A manager's store in this process, its Raft in a thread and on the disk. */
class StoreHost implements AsyncDisposable {
  readonly #node: TestNode;
  readonly #port: number;
  readonly #directory = mkdtempSync(join(tmpdir(), 'shoal-large-transactions-'));
  machine = new StoreMachine();
  consensus: Consensus | undefined;

  constructor(node: TestNode, port: number) {
    this.#node = node;
    this.#port = port;
  }

  get self() {
    const addr = `127.0.0.1:${this.#port}`;
    return { nodeId: this.#node.nodeId, raftAddr: addr, controlAddr: addr };
  }

  async start(start: StartOpts): Promise<Consensus> {
    this.machine = new StoreMachine();
    const listen = { host: '127.0.0.1', port: this.#port };
    const consensus = await startConsensus(
      { stateDir: this.#directory, self: this.self, listen, start, limits: LIMITS },
      {
        identity: this.#node.identity,
        stateMachine: this.machine,
        log: nullLog,
        metrics: nullMetrics,
        onFailure: (error) => {
          throw error;
        },
      },
    );
    this.consensus = consensus;
    return consensus;
  }

  storeOf(consensus: Consensus): ReplicatedStore {
    const base = { clock: systemClock, random: systemRandom, metrics: nullMetrics };
    return new ReplicatedStore(PROPOSER_OPTS, { ...base, machine: this.machine, consensus });
  }

  /** Resolves when it has applied an entry of at least this index. */
  async applied(index: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = this.machine.subscribe(({ version }) => {
      if (version >= index) resolve();
    });
    if (this.machine.version < index) await promise;
    end();
  }

  async stop(): Promise<void> {
    await this.consensus?.[Symbol.asyncDispose]();
    this.consensus = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function leads(consensus: Consensus): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = consensus.onLeadership(({ leading }) => {
    if (leading) resolve();
  });
  if (consensus.leadership().leading) resolve();
  return promise.finally(end);
}

function services(): Change[] {
  const env = ['A'.repeat(SERVICE_BYTES)];
  return Array.from({ length: SERVICES }, (_, i) => {
    const spec = {
      name: `s${i}`,
      task: { container: { image: 'a', env } },
      mode: { kind: 'global' },
    } as const;
    return { kind: 'putService', service: { id: `s${i}` as ServiceId, spec } };
  });
}

function node(number: number): Change {
  const spec = { role: 'worker', availability: 'active' } as const;
  const id = `n${number}` as NodeId;
  return { kind: 'putNode', node: { id, spec, role: 'worker', status: { state: 'ready' } } };
}

test('a transaction of many entries goes over real disks and connections, beside a small one, and is there after a restart', async (t) => {
  const ca = await testCa();
  await using first = new StoreHost(await ca.node('manager'), await freePort());
  await using second = new StoreHost(await ca.node('manager'), await freePort());
  const consensus = await first.start({ kind: 'bootstrap' });
  await leads(consensus);
  const member = await consensus.addMember(second.self);
  await second.start({ kind: 'join', raftId: member.raftId, members: consensus.members() });
  const store = first.storeOf(consensus);
  const begun = first.machine.version;
  const large = store.update({ changes: services() });
  await first.applied(begun + 1);
  const small = await store.update({ changes: [node(1)] });
  t.is(store.view().services.size, 0, 'a small one does not wait for all of it');
  const version = await large;
  t.true(small < version);
  await second.applied(version);
  t.is(second.machine.hash(), first.machine.hash());
  t.is(second.machine.view().services.get('s39' as ServiceId)?.version, version);
  await store[Symbol.asyncDispose]();
  const hash = first.machine.hash();
  await second.stop();
  await second.start({ kind: 'restart' });
  await second.applied(version);
  t.is(second.machine.hash(), hash);
});
