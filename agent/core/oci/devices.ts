import { lstatSync, readdirSync, realpathSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { ShoalError } from '#proto/base/errors.ts';
import type { HostConfig } from '../container-types.ts';
import type { OciDevice, OciDeviceRule } from './types.ts';

const CHARACTER = 'c' as const;
const BLOCK = 'b' as const;

/** Everything is forbidden but the nodes every Unix program expects, terminals, and making nodes (not opening them). */
const DEFAULT_RULES: readonly OciDeviceRule[] = [
  { allow: false, access: 'rwm' },
  { allow: true, type: CHARACTER, access: 'm' },
  { allow: true, type: BLOCK, access: 'm' },
  ...[
    [1, 3],
    [1, 5],
    [1, 7],
    [1, 8],
    [1, 9],
    [5, 0],
    [5, 1],
    [5, 2],
    [10, 200],
  ].map(([major, minor]) => ({
    allow: true,
    type: CHARACTER,
    major: major as number,
    minor: minor as number,
    access: 'rwm',
  })),
  { allow: true, type: CHARACTER, major: 136, access: 'rwm' },
];

/** A device of the machine, and the node that a container has of it. */
export interface PassedDevice {
  /** Path on the machine. */
  readonly source: string;
  readonly node: OciDevice;
}

/** Device nodes of a container and what it may do with devices. */
export function devicesOf(config: HostConfig): { nodes: PassedDevice[]; rules: readonly OciDeviceRule[] } {
  if (config.Privileged)
    return { nodes: hostDevices('/dev'), rules: [{ allow: true, type: 'a', access: 'rwm' }] };
  const nodes: PassedDevice[] = [];
  const rules: OciDeviceRule[] = [...DEFAULT_RULES];
  for (const { PathOnHost, PathInContainer, CgroupPermissions } of config.Devices ?? []) {
    for (const device of devicesAt(PathOnHost, PathInContainer || PathOnHost)) {
      nodes.push(device);
      const { type, major, minor } = device.node;
      rules.push({ allow: true, type, major, minor, access: CgroupPermissions || 'rwm' });
    }
  }
  return { nodes, rules: [...rules, ...(config.DeviceCgroupRules ?? []).map(parseDeviceRule)] };
}

/** `c 1:3 rwm`, `a *:* r`. INVALID_ARGUMENT otherwise. */
export function parseDeviceRule(rule: string): OciDeviceRule {
  const match = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(rule);
  if (!match) throw new ShoalError('INVALID_ARGUMENT', `invalid device cgroup rule format: '${rule}'`);
  const [, type, major, minor, access] = match;
  return {
    allow: true,
    type: type as 'a' | 'c' | 'b',
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
    access: access as string,
  };
}

/** The device at a path of the machine, or all below it when it is a folder. */
function devicesAt(host: string, inside: string): PassedDevice[] {
  let real: string;
  try {
    real = realpathSync(host);
  } catch {
    throw gathering(host, 'no such file or directory');
  }
  if (lstatSync(real).isDirectory()) return hostDevices(real, inside);
  const node = deviceNode(real, inside);
  if (node === undefined) throw gathering(host, 'not a device node');
  return [{ source: real, node }];
}

function gathering(path: string, reason: string): ShoalError {
  return new ShoalError(
    'FAILED_PRECONDITION',
    `error gathering device information while adding custom device "${path}": ${reason}`,
  );
}

/** What containers get a copy of their own of, or what is no device of the machine. */
const NOT_PASSED = ['pts', 'shm', 'fd', 'mqueue', 'console', '.lxc', '.lxd-mounts', '.udev'];
const DEPTH_MAX = 8;

function hostDevices(folder: string, inside = folder, depth = 0): PassedDevice[] {
  if (depth > DEPTH_MAX) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (NOT_PASSED.includes(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return hostDevices(path, join(inside, entry.name), depth + 1);
    const node = deviceNode(path, join(inside, entry.name));
    return node === undefined ? [] : [{ source: path, node }];
  });
}

function deviceNode(path: string, inside: string): OciDevice | undefined {
  let stats: Stats;
  try {
    stats = lstatSync(path);
  } catch {
    return undefined;
  }
  if (!stats.isCharacterDevice() && !stats.isBlockDevice()) return undefined;
  return {
    path: inside,
    type: stats.isBlockDevice() ? BLOCK : CHARACTER,
    ...deviceNumbers(stats.rdev),
    fileMode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
  };
}

export interface DeviceNumbers {
  readonly major: number;
  readonly minor: number;
}

/** Both numbers of a device, which Linux packs into one. */
export function deviceNumbers(rdev: number): DeviceNumbers {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}
