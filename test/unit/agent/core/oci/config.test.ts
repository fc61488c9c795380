import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import type { ContainerConfig, HostConfig } from '#agent/core/container-types.ts';
import { blockIoOf } from '#agent/core/oci/block-io.ts';
import { type ContainerPlan, ociConfig, processEnv } from '#agent/core/oci/config.ts';
import { parseDeviceRule } from '#agent/core/oci/devices.ts';
import { bindMount, ordered, sharedMemory } from '#agent/core/oci/mounts.ts';

const machine = {
  capabilities: new Set(['CAP_CHOWN', 'CAP_NET_ADMIN']),
  hardLimits: { nofile: 1000 },
  swapLimit: true,
  blockWeight: true,
  cgroupVersion: 1 as const,
};

function plan(
  config: Partial<ContainerConfig> = {},
  hostConfig: HostConfig = {},
  more: Partial<ContainerPlan> = {},
): ContainerPlan {
  return {
    config: { Image: 'x', ...config },
    hostConfig,
    args: ['run', 'it'],
    hostname: 'box',
    user: { uid: 0, gid: 0, additionalGids: [0], home: '/root' },
    namespaces: { network: 'own', pid: 'own', ipc: 'own', uts: 'own', cgroup: 'host' },
    mounts: [sharedMemory(100)],
    cgroupsPath: '/shoal/test/id',
    machine,
    ...more,
  };
}

test('config: the process is what the container asks for', (t) => {
  const { process } = ociConfig(
    plan({ Tty: true, WorkingDir: '/w', Env: ['A=1'] }, { OomScoreAdj: 5, ConsoleSize: [24, 80] }),
  );
  t.true(process.terminal);
  t.deepEqual(process.consoleSize, { height: 24, width: 80 });
  t.is(process.cwd, '/w');
  t.deepEqual(process.args, ['run', 'it']);
  t.is(process.oomScoreAdj, 5);
});

test('config: only capabilities that the daemon has, and none in effect but for root', (t) => {
  const { capabilities } = ociConfig(plan({}, { CapAdd: ['NET_ADMIN', 'SYS_TIME'] })).process;
  t.deepEqual(capabilities, {
    bounding: ['CAP_CHOWN', 'CAP_NET_ADMIN'],
    effective: ['CAP_CHOWN', 'CAP_NET_ADMIN'],
    permitted: ['CAP_CHOWN', 'CAP_NET_ADMIN'],
  });
  const user = { uid: 7, gid: 7, additionalGids: [7], home: '/' };
  t.deepEqual(ociConfig(plan({}, {}, { user })).process.capabilities, { bounding: ['CAP_CHOWN'] });
});

test('config: namespaces of its own, of the machine, and at a path', (t) => {
  const namespaces = {
    network: { path: '/ns/x' },
    pid: 'host',
    ipc: 'own',
    uts: 'host',
    cgroup: 'own',
  } as const;
  const { linux, hostname } = ociConfig(plan({}, {}, { namespaces }));
  t.deepEqual(linux.namespaces, [
    { type: 'mount' },
    { type: 'network', path: '/ns/x' },
    { type: 'ipc' },
    { type: 'cgroup' },
  ]);
  t.is(hostname, undefined);
});

test('config: in a user namespace, its ids, and nothing that only the real root may do', (t) => {
  const ids = [{ inside: 0, outside: 5000, length: 10 }];
  const more = {
    idMaps: { users: ids, groups: ids },
    namespaces: { ...plan().namespaces, user: { path: '/ns/user' } },
    machine: { ...machine, capabilities: new Set(['CAP_SYS_RESOURCE']) },
  };
  const hostConfig = {
    OomScoreAdj: -5,
    Ulimits: [{ Name: 'nofile', Soft: 5000, Hard: 5000 }],
    Devices: [{ PathOnHost: '/dev/null', PathInContainer: '/dev/mine', CgroupPermissions: 'r' }],
  };
  const { process, linux, mounts } = ociConfig(plan({}, hostConfig, more));
  t.deepEqual(linux.uidMappings, [{ containerID: 0, hostID: 5000, size: 10 }]);
  t.deepEqual(linux.gidMappings, linux.uidMappings);
  t.deepEqual(linux.namespaces.at(-1), { type: 'user', path: '/ns/user' });
  t.is(linux.sysctl?.['net.ipv4.ping_group_range'], '0 9', 'groups that there are');
  t.is(process.oomScoreAdj, 0);
  t.is(process.rlimits?.[0]?.hard, 1000);
  t.deepEqual(linux.devices, [], 'a node made there could not be opened');
  t.is(mounts.find(({ destination }) => destination === '/dev/mine')?.source, '/dev/null');
});

test('config: low ports are open in a network namespace of its own alone', (t) => {
  const key = 'net.ipv4.ip_unprivileged_port_start';
  t.is(ociConfig(plan()).linux.sysctl?.[key], '0');
  const host = { network: 'host', pid: 'own', ipc: 'own', uts: 'own', cgroup: 'host' } as const;
  t.false(key in (ociConfig(plan({}, {}, { namespaces: host })).linux.sysctl ?? {}));
  t.is(ociConfig(plan({}, { Sysctls: { [key]: '80' } })).linux.sysctl?.[key], '80');
});

test('config: limits, in the terms of the runtime; no limit is no key', (t) => {
  const limits = { Memory: 100, MemorySwap: 200, NanoCpus: 5e8, PidsLimit: 9, CpuShares: 3, CpusetCpus: '0' };
  const { memory, cpu, pids } = ociConfig(plan({}, limits)).linux.resources;
  t.deepEqual(memory, { limit: 100, swap: 200 });
  t.deepEqual(cpu, { quota: 50_000, period: 100_000, shares: 3, cpus: '0' });
  t.deepEqual(pids, { limit: 9 });
  const none = ociConfig(plan({}, { CpuQuota: -1, PidsLimit: -1, MemorySwappiness: -1 })).linux.resources;
  t.deepEqual(Object.keys(none), ['devices']);
  const noSwap = ociConfig(plan({}, limits, { machine: { ...machine, swapLimit: false } })).linux.resources;
  t.deepEqual(noSwap.memory, { limit: 100 });
});

test('config: ulimits are cut to what the daemon may give', (t) => {
  const Ulimits = [{ Name: 'nofile', Soft: 500, Hard: 5000 }];
  t.deepEqual(ociConfig(plan({}, { Ulimits })).process.rlimits, [
    { type: 'RLIMIT_NOFILE', soft: 500, hard: 1000 },
  ]);
  const mighty = { ...machine, capabilities: new Set(['CAP_SYS_RESOURCE']) };
  t.is(ociConfig(plan({}, { Ulimits }, { machine: mighty })).process.rlimits?.[0]?.hard, 5000);
});

test('config: a privileged container may write /sys and use every device', (t) => {
  const { mounts, linux } = ociConfig(plan({}, { Privileged: true }));
  t.true(mounts.find(({ destination }) => destination === '/sys')?.options.includes('rw'));
  t.deepEqual(linux.resources.devices, [{ allow: true, type: 'a', access: 'rwm' }]);
  t.true(
    ociConfig(plan())
      .mounts.find(({ destination }) => destination === '/sys')
      ?.options.includes('ro'),
  );
});

test('config: no new privileges when that is asked for', (t) => {
  t.true(ociConfig(plan({}, { SecurityOpt: ['no-new-privileges'] })).process.noNewPrivileges);
  t.true(ociConfig(plan({}, { SecurityOpt: ['no-new-privileges:true'] })).process.noNewPrivileges);
  t.false(ociConfig(plan({}, { SecurityOpt: ['no-new-privileges=false'] })).process.noNewPrivileges);
});

test('environment: the defaults first, the container over them, a bare name takes one away', (t) => {
  t.deepEqual(processEnv({ Image: 'x', Tty: true, Env: ['PATH=/p', 'HOSTNAME', 'B=2=3'] }, 'box', '/h'), [
    'PATH=/p',
    'TERM=xterm',
    'B=2=3',
    'HOME=/h',
  ]);
});

test('mounts: parents come first, a later one for the same place wins', (t) => {
  const mounts = [bindMount('/a', '/x/y', []), bindMount('/b', '/x', []), bindMount('/c', '/x/y/', [])];
  t.deepEqual(
    ordered(mounts).map(({ source }) => source),
    ['/b', '/c'],
  );
});

test('device rules: as written, or refused', (t) => {
  t.deepEqual(parseDeviceRule('c 1:* rw'), { allow: true, type: 'c', major: 1, access: 'rw' });
  t.throws(() => parseDeviceRule('c 1 rw'), { message: /invalid device cgroup rule format/ });
});

test('block devices: limits go by their numbers; weights only where the machine knows them', (t) => {
  const name = readdirSync('/dev').find((entry) => lstatSync(`/dev/${entry}`).isBlockDevice());
  const throttle = [{ Path: `/dev/${name}`, Rate: 1000 }];
  const { throttleReadBpsDevice: [limit] = [] } = name
    ? (blockIoOf({ BlkioDeviceReadBps: throttle }, true) ?? {})
    : {};
  if (limit) {
    t.is(limit.rate, 1000);
    const facts = readFileSync(`/sys/dev/block/${limit.major}:${limit.minor}/uevent`, 'utf8');
    t.true(facts.includes(`DEVNAME=${name}\n`));
  } else t.is(name, undefined);
  t.deepEqual(blockIoOf({ BlkioWeight: 300 }, true), { weight: 300 });
  t.is(blockIoOf({ BlkioWeight: 300 }, false), undefined);
  t.throws(() => blockIoOf({ BlkioDeviceReadBps: [{ Path: '/dev/null', Rate: 1 }] }, true), {
    message: '/dev/null is not a block device',
  });
});

test('config: what version 2 of control groups does not have is left out there', (t) => {
  const limits = { Memory: 100, MemorySwappiness: 7, OomKillDisable: true };
  const memoryOf = (cgroupVersion: 1 | 2) =>
    ociConfig(plan({}, limits, { machine: { ...machine, cgroupVersion } })).linux.resources.memory;
  t.deepEqual(memoryOf(1), { limit: 100, swappiness: 7, disableOOMKiller: true });
  t.deepEqual(memoryOf(2), { limit: 100 });
});
