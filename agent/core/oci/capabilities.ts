import { ShoalError } from '#proto/base/errors.ts';
import type { HostConfig } from '../container-types.ts';
import { CAPABILITIES } from '../linux/capability-names.ts';

const ALL = CAPABILITIES.map((name) => `CAP_${name}`);

/** What a container may do unless it says otherwise: Docker's documented default. */
const DEFAULT = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

/** Capabilities that a container asks for, whether or not this machine can give them. INVALID_ARGUMENT: no such. */
export function wantedCapabilities(hostConfig: HostConfig): string[] {
  const added = normalized('CapAdd', hostConfig.CapAdd ?? []);
  const dropped = normalized('CapDrop', hostConfig.CapDrop ?? []);
  if (hostConfig.Privileged) return ALL;
  if (added.includes('ALL')) return ALL.filter((name) => !dropped.includes(name));
  const base = dropped.includes('ALL') ? [] : DEFAULT.filter((name) => !dropped.includes(name));
  return [...new Set([...base, ...added])];
}

/** Spelled `ALL` or `CAP_NET_ADMIN`, however the client wrote it. */
function normalized(field: string, names: readonly string[]): string[] {
  return names.map((name) => {
    const upper = name.toUpperCase();
    if (upper === 'ALL' || upper === 'CAP_ALL') return 'ALL';
    const full = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
    if (ALL.includes(full)) return full;
    throw new ShoalError('INVALID_ARGUMENT', `invalid ${field}: unknown capability: "${full}"`);
  });
}
