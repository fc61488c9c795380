import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Cgroup } from '#agent/core/linux/cgroup.ts';
import { readCgroupLayout } from '#agent/core/linux/cgroup-layout.ts';
import { cgroupOf, usageOf } from '#agent/core/usage.ts';
import { EngineLab, traces } from '#test/support/engine-lab.ts';
import { patience, waitFor } from '#test/support/wait-for.ts';

/*
 * What containers may use of the machine, as the kernel has it: on control groups of version 1 or 2, whichever the
 * machine has. `test/vm/run` runs them on version 2.
 */

const MIB = 2 ** 20;
const ENDLESS = { Cmd: ['sleep', '1000'] };
const layout = readCgroupLayout();
const isV2 = layout.version === 2;

let lab: EngineLab;

test.before(async () => {
  lab = await EngineLab.open('groups');
});

test.after.always(async (t) => {
  await lab[Symbol.asyncDispose]();
  t.deepEqual(traces(lab.instance), [], 'nothing is left on the machine');
});

function groupOf(id: string): Cgroup {
  return cgroupOf(lab.engine.parts, lab.engine.containers.find(id));
}

/** Files of version 2; what says the same in version 1, in its controller, stands beside. */
const FILES = {
  memory: ['memory.max', 'memory', 'memory.limit_in_bytes'],
  reservation: ['memory.low', 'memory', 'memory.soft_limit_in_bytes'],
  cpus: ['cpuset.cpus', 'cpuset', 'cpuset.cpus'],
  mems: ['cpuset.mems', 'cpuset', 'cpuset.mems'],
  pids: ['pids.max', 'pids', 'pids.max'],
} as const;

function limits(id: string): Record<string, string | undefined> {
  const group = groupOf(id);
  const entries = Object.entries(FILES).map(([name, [v2, controller, v1]]) => [
    name,
    isV2 ? group.read('', v2) : group.read(controller, v1),
  ]);
  return Object.fromEntries(entries);
}

/** Microseconds of CPU time in each period. */
function quota(id: string): string | undefined {
  const group = groupOf(id);
  return isV2
    ? group.read('', 'cpu.max')
    : `${group.read('cpu', 'cpu.cfs_quota_us')} ${group.read('cpu', 'cpu.cfs_period_us')}`;
}

/** Bytes of swap: with version 1 together with memory, where the kernel counts it. */
function swap(id: string): string | undefined {
  return isV2
    ? groupOf(id).read('', 'memory.swap.max')
    : groupOf(id).read('memory', 'memory.memsw.limit_in_bytes');
}

async function inside(id: string, line: string): Promise<{ output: string; exitCode: number }> {
  const { containers, execs } = lab.engine;
  const command = ['sh', '-c', line];
  return await execs.probe(containers.find(id), command, 4_096, patience());
}

test('limits: the kernel has what was asked for', async (t) => {
  const id = await lab.run(ENDLESS, {
    ...{ Memory: 64 * MIB, MemoryReservation: 32 * MIB, MemorySwap: 96 * MIB, PidsLimit: 33 },
    ...{ CpuPeriod: 50_000, CpuQuota: 20_000, CpusetCpus: '0', CpusetMems: '0', CpuShares: 512 },
  });
  t.deepEqual(limits(id), {
    ...{ memory: String(64 * MIB), reservation: String(32 * MIB) },
    ...{ cpus: '0', mems: '0', pids: '33' },
  });
  t.is(quota(id), '20000 50000');
  if (isV2 || swap(id) !== undefined) t.is(swap(id), String((isV2 ? 32 : 96) * MIB));
  const group = groupOf(id);
  t.is(isV2 ? group.read('', 'cpu.weight') : group.read('cpu', 'cpu.shares'), isV2 ? '20' : '512');
});

test('limits: none but those asked for; swap without end where that is asked for', async (t) => {
  const id = await lab.run(ENDLESS, { Memory: 64 * MIB, MemorySwap: -1 });
  t.like(limits(id), { memory: String(64 * MIB), pids: 'max' });
  t.regex(quota(id) ?? '', isV2 ? /^max / : /^-1 /);
  if (isV2) t.is(swap(id), 'max');
  else t.true(swap(id) === undefined || Number(swap(id)) > 2 ** 60);
});

test('limits: at the limit of processes there is no further one', async (t) => {
  const id = await lab.run(ENDLESS, { PidsLimit: 4 });
  const { exitCode, output } = await inside(id, 'for n in 1 2 3 4 5; do sleep 100 & done; wait');
  t.not(exitCode, 0);
  t.regex(output, /fork/);
});

test('limits: a device is read and written as fast as was said', async (t) => {
  const name = readdirSync('/sys/block').find((one) => existsSync(`/dev/${one}`) && !one.startsWith('loop'));
  if (name === undefined) return t.log('this machine has no block device');
  const Path = `/dev/${name}`;
  const { rdev } = statSync(Path);
  const device = `${rdev >> 8}:${rdev & 255}`;
  const id = await lab.run(ENDLESS, {
    BlkioDeviceReadBps: [{ Path, Rate: 2 * MIB }],
    BlkioDeviceWriteBps: [{ Path, Rate: 3 * MIB }],
    BlkioDeviceWriteIOps: [{ Path, Rate: 400 }],
  });
  const group = groupOf(id);
  if (isV2)
    return t.is(group.read('', 'io.max'), `${device} rbps=${2 * MIB} wbps=${3 * MIB} riops=max wiops=400`);
  t.is(group.read('blkio', 'blkio.throttle.read_bps_device'), `${device} ${2 * MIB}`);
  t.is(group.read('blkio', 'blkio.throttle.write_bps_device'), `${device} ${3 * MIB}`);
  t.is(group.read('blkio', 'blkio.throttle.write_iops_device'), `${device} 400`);
});

test('limits: those that version 2 does not have keep no container from starting', async (t) => {
  const id = await lab.run(ENDLESS, { Memory: 64 * MIB, MemorySwappiness: 7, OomKillDisable: true });
  t.is(isV2 ? undefined : groupOf(id).read('memory', 'memory.swappiness'), isV2 ? undefined : '7');
  t.is(limits(id)['memory'], String(64 * MIB));
});

test('update: a running container has its new limits at once, and an ended one when it starts', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.run(ENDLESS, { Memory: 64 * MIB, MemorySwap: 64 * MIB, PidsLimit: 33 });
  const changes = { MemorySwap: 256 * MIB, Memory: 128 * MIB, PidsLimit: -1, NanoCpus: 5e8, CpusetCpus: '0' };
  await lab.engine.updater.update(id, changes);
  t.like(limits(id), { memory: String(128 * MIB), pids: 'max', cpus: '0' });
  t.is(quota(id), '50000 100000');
  if (isV2) t.is(swap(id), String(128 * MIB));
  await lab.engine.updater.update(id, { CpuShares: 2048, MemoryReservation: 16 * MIB });
  t.like(limits(id), { memory: String(128 * MIB), reservation: String(16 * MIB) });
  const group = groupOf(id);
  t.is(isV2 ? group.read('', 'cpu.weight') : group.read('cpu', 'cpu.shares'), isV2 ? '79' : '2048');
  await containers.stop(id, { graceMs: 0 });
  await lab.engine.updater.update(id, { Memory: 96 * MIB });
  await containers.start(id);
  t.is(limits(id)['memory'], String(96 * MIB));
});

test('update: a weight for block devices is told to the kernel, where it goes by weights', async (t) => {
  const id = await lab.run(ENDLESS, { BlkioWeight: 500 });
  const warnings = await lab.engine.updater.update(id, { BlkioWeight: 100 });
  if (!lab.engine.parts.machine.blockWeight) return void t.regex(warnings.join(), /Weight discarded/);
  const group = groupOf(id);
  const told = group.read('blkio', 'blkio.weight') ?? group.read('', 'io.weight');
  t.is(told, isV2 ? 'default 910' : '100');
});

test('usage: memory, processes and CPU time of the container alone', async (t) => {
  const id = await lab.run(ENDLESS, { Memory: 64 * MIB, PidsLimit: 33 });
  const container = lab.engine.containers.find(id);
  const before = usageOf(lab.engine.parts, container);
  await inside(id, 'head -c 20000000 /dev/zero >/dev/shm/full; for n in $(seq 20000); do :; done');
  const after = usageOf(lab.engine.parts, container);
  t.is(after?.group.memory.limit, 64 * MIB);
  t.true((after?.group.memory.usage ?? 0) - (before?.group.memory.usage ?? 0) > 15 * MIB);
  t.deepEqual(after?.group.pids, { current: 1, limit: 33 });
  t.true((after?.group.cpu.totalNs ?? 0) > (before?.group.cpu.totalNs ?? 0));
  t.true((after?.group.cpu.userNs ?? 0) > 0);
});

test('groups: every process of the container is in its own, whoever started it, and all stand still', async (t) => {
  const { containers } = lab.engine;
  const id = await lab.run(ENDLESS);
  const later = inside(id, 'sleep 1001 & sleep 1002').catch(() => undefined);
  await waitFor('the processes of a command', () => groupOf(id).processes().length >= 3);
  await containers.pause(id);
  t.is(containers.summary(id).state.Status, 'paused');
  await containers.unpause(id);
  await containers.kill(id, 'SIGKILL');
  await later;
  await containers.wait(id, 'not-running');
  t.deepEqual(groupOf(id).processes(), []);
});

test('groups: a container has its own at the root of what it sees, or sees that of the machine', async (t) => {
  const look = 'cat /proc/self/cgroup | cut -d: -f3 | sort -u';
  const own = await lab.shell(look, {}, { CgroupnsMode: 'private' });
  t.is(own.out, '/\n');
  const all = await lab.shell(look, {}, { CgroupnsMode: 'host' });
  t.regex(all.out, new RegExp(`/shoal/${lab.instance}/[0-9a-f]{64}\\n`));
  const usual = await lab.shell(look);
  t.is(usual.out === '/\n', isV2, 'as Docker: private with version 2');
});

test('groups: below another parent where that is asked for, and gone with the container', async (t) => {
  const CgroupParent = `/${lab.instance}-parent`;
  const id = await lab.run(ENDLESS, { CgroupParent, Memory: 64 * MIB });
  const group = groupOf(id);
  t.is(group.path, `${CgroupParent}/${id}`);
  t.is(group.processes().length, 1);
  t.is(limits(id)['memory'], String(64 * MIB));
  await lab.engine.containers.remove(id, { force: true });
  const left = layout.roots.filter((root) => existsSync(join(root, CgroupParent, id)));
  t.deepEqual(left, []);
});

test('groups: what a container made below its own goes with it', async (t) => {
  const id = await lab.run(ENDLESS, { Privileged: true });
  const path = isV2 ? '' : '/pids';
  const { exitCode, output } = await inside(
    id,
    `mount -o remount,rw /sys/fs/cgroup${path} 2>/dev/null; g=/sys/fs/cgroup${path}$(test -d /sys/fs/cgroup${path}/shoal && grep ${isV2 ? '^0:' : ':pids:'} /proc/self/cgroup | cut -d: -f3); mkdir -p $g/mine/below && (sleep 1003 & echo $! > $g/mine/below/cgroup.procs)`,
  );
  t.is(exitCode, 0, output);
  t.is(groupOf(id).processes().length, 2);
  await lab.engine.containers.stop(id, { graceMs: 0 });
  const folders = layout.roots.map((root) => join(root, groupOf(id).path));
  t.deepEqual(
    folders.filter((folder) => existsSync(folder)),
    [],
  );
});
