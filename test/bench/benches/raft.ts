import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Programs } from '../peers/peer.ts';
import { diskFloorUs } from '../raft/disk-floor.ts';
import { EtcdGroup } from '../raft/etcd-group.ts';
import { goFirst } from '../raft/go-first.ts';
import { GroupSubject, LOAD_MS, type Slice } from '../raft/group-subject.ts';
import type { Load } from '../raft/member-protocol.ts';
import { putLoad } from '../raft/put-load.ts';
import { ShoalGroup } from '../raft/shoal-group.ts';
import type { Bench, Sample, Subject } from '../subject.ts';

const ENTRY_BYTES = 300;
const WRITERS = 128;
/** What swarmkit's own store and Raft did on the machine this was written on: one entry in flight, whoever writes. */
const SWARMKIT_PER_SECOND = 680;

/** Three members of Shoal's Raft beside three of etcd, on this machine and its disk. */
export const bench: Bench = {
  about: 'the Raft log of three managers, beside etcd',
  peer: { name: 'etcd', programs: ['etcd'], packages: ['etcd-server'], needs: [] },
  figures: [
    figure('commit-p50-vs-disk', 'us', 'one writer; beside one append of 4 KiB to the disk', 3),
    figure('commit-p50-vs-etcd', 'us', 'one writer in process; one client of etcd', 0.4),
    figure('commit-p99-vs-etcd', 'us', 'the same, 99th percentile', 1),
    figure('throughput-128-vs-etcd', 'per s', '128 writers in process; 128 clients of etcd', 10),
    figure(
      'store-throughput-vs-swarmkit',
      'per s',
      '128 writers, a task a transaction; swarmkit as measured',
      20,
    ),
    figure('client-put-1-vs-etcd', 'per s', 'KV/Put over gRPC, 1 client', 1.2),
    figure('client-put-16-vs-etcd', 'per s', 'KV/Put over gRPC, 16 clients', 2),
    figure('client-put-128-vs-etcd', 'per s', 'KV/Put over gRPC, 128 clients', 2),
    figure('failover-p50-ms', 'ms', 'leader killed, until a later write is accepted: 100 ms at most', 0.08),
    figure('failover-max-ms', 'ms', 'the same, the worst of a run: 500 ms at most', 0.25),
    figure(
      'failover-hung-p50-ms',
      'ms',
      'leader stopped, until a later write is accepted: 500 ms at most',
      0.4,
    ),
  ],
  slices: ['commit', 'throughput', 'store', 'client-1', 'client-16', 'client-128', 'failover', 'hung'],
  warmUp: 'warm-up',
  sliceMsMax: 120_000,
  runs: 5,
  async subjects(programs) {
    process.once('exit', goFirst('self'));
    return { ours: ours(), theirs: theirs(programs) };
  },
};

function figure(name: string, unit: Bench['figures'][number]['unit'], meaning: string, goal: number) {
  return { name, unit, meaning, goal };
}

function ours(): Subject {
  const group = new ShoalGroup(directory(), 'kv');
  return new GroupSubject('shoal', group, {
    'warm-up': async () => {
      const port = group.clientPort(await group.leader());
      for (const clients of [1, WRITERS]) await putLoad(port, clients, LOAD_MS);
      for (const writers of [1, WRITERS]) await group.load(writers, ENTRY_BYTES, LOAD_MS);
      return [];
    },
    commit: async () => {
      const load = await group.load(1, ENTRY_BYTES, LOAD_MS);
      return [{ figure: 'commit-p50-vs-disk', value: load.p50Us }, ...commitSamples(load)];
    },
    throughput: async () => [throughput(await group.load(WRITERS, ENTRY_BYTES, LOAD_MS))],
    store: storeSlice,
  });
}

/** A group of its own, for as long as the slice takes. */
const storeSlice: Slice = async () => {
  const group = new ShoalGroup(directory(), 'store');
  try {
    await group.start();
    return [storeThroughput((await group.load(WRITERS, ENTRY_BYTES, LOAD_MS)).perSecond)];
  } finally {
    await group.stop();
  }
};

function theirs(programs: Programs): Subject {
  const group = new EtcdGroup(programs.path('etcd'), directory());
  const load = async (clients: number): Promise<Load> =>
    putLoad(group.clientPort(await group.leader()), clients, LOAD_MS);
  return new GroupSubject('etcd', group, {
    'warm-up': async () => {
      for (const clients of [1, WRITERS]) await load(clients);
      return [];
    },
    commit: async () => {
      const floor = { figure: 'commit-p50-vs-disk', value: await floorUs() };
      return [floor, ...commitSamples(await load(1))];
    },
    throughput: async () => [throughput(await load(WRITERS))],
    store: async () => [storeThroughput(SWARMKIT_PER_SECOND)],
  });
}

function commitSamples({ p50Us, p99Us }: Load): Sample[] {
  return [
    { figure: 'commit-p50-vs-etcd', value: p50Us },
    { figure: 'commit-p99-vs-etcd', value: p99Us },
  ];
}

function throughput({ perSecond }: Load): Sample {
  return { figure: 'throughput-128-vs-etcd', value: perSecond };
}

function storeThroughput(value: number): Sample {
  return { figure: 'store-throughput-vs-swarmkit', value };
}

async function floorUs(): Promise<number> {
  const path = directory();
  try {
    return diskFloorUs(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

/** Where the disk that matters is: the state of managers and of etcd alike. */
function directory(): string {
  return mkdtempSync(join(tmpdir(), 'shoal-bench-raft-'));
}
