import type { OciMount } from './types.ts';

const GUARDED = ['nosuid', 'noexec', 'nodev'];

/** What every container has mounted. `shm` is what its /dev/shm is, unless that is given as a mount of its own. */
export function defaultMounts(opts: { privileged: boolean }): OciMount[] {
  const system = opts.privileged ? 'rw' : 'ro';
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: GUARDED },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...GUARDED, system] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...GUARDED, system] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: GUARDED },
  ];
}

/** Shared memory of a container's own. */
export function sharedMemory(bytes: number): OciMount {
  return {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: [...GUARDED, 'mode=1777', `size=${bytes}`],
  };
}

export function bindMount(source: string, destination: string, options: readonly string[]): OciMount {
  return { destination, type: 'bind', source, options };
}

/** A file system in memory; `options` as of `--tmpfs`. */
export function tmpfsMount(destination: string, options: readonly string[]): OciMount {
  return { destination, type: 'tmpfs', source: 'tmpfs', options: [...GUARDED, ...options] };
}

/** Mounts in an order in which none hides another: a later one for the same place wins, parents come first. */
export function ordered(mounts: readonly OciMount[]): OciMount[] {
  const byPlace = new Map(mounts.map((mount) => [normal(mount.destination), mount]));
  return [...byPlace.entries()].sort(([a], [b]) => depth(a) - depth(b)).map(([, mount]) => mount);
}

/** A container path without doubled or trailing slashes. */
export function normal(path: string): string {
  return `/${path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`;
}

function depth(path: string): number {
  return path === '/' ? 0 : path.split('/').length - 1;
}
