import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { ShoalError } from '#proto/base/errors.ts';
import { readMounts } from './mounts.ts';
import { mount, unmountDetach } from './sys.ts';

const ROOT = '/sys/fs/cgroup';
/** By this source we know hierarchies that we have mounted. */
const OURS = 'shoal';

/** How this machine's control groups are laid out. */
export interface CgroupLayout {
  readonly version: 1 | 2;
  /** Every mounted hierarchy: a group has a folder in each. Version 2: one. */
  readonly roots: readonly string[];
  /** Version 1: where a controller's hierarchy is mounted. */
  readonly rootOf: ReadonlyMap<string, string>;
}

export function readCgroupLayout(): CgroupLayout {
  const mounts = readMounts().filter(({ target }) => target === ROOT || target.startsWith(`${ROOT}/`));
  if (mounts.some(({ target, type }) => target === ROOT && type === 'cgroup2'))
    return { version: 2, roots: [ROOT], rootOf: new Map() };
  const hierarchies = mounts.filter(({ type }) => type === 'cgroup' || type === 'cgroup2');
  if (hierarchies.length === 0)
    throw new ShoalError(
      'FAILED_PRECONDITION',
      `no control groups at ${ROOT}: containers need them, mount cgroup2 there`,
    );
  const controllers = hierarchies.flatMap(({ target, superOptions }) =>
    superOptions.map((option) => [option, target] as const),
  );
  return { version: 1, roots: hierarchies.map(({ target }) => target), rootOf: new Map(controllers) };
}

/**
 * crun refuses a machine whose controllers are divided between version 1 and 2. Binds those left over in version 2
 * to version 1, for the whole machine. Another program may undo it, so look again before starting anything.
 */
export function fixHybridCgroups(): void {
  const leftOver = join(ROOT, 'unified', 'cgroup.controllers');
  if (!existsSync(leftOver)) return;
  for (const controller of readFileSync(leftOver, 'utf8').trim().split(' ')) {
    if (controller === '') continue;
    const target = join(ROOT, controller);
    mkdirSync(target, { recursive: true });
    mount(OURS, target, 'cgroup', 0, controller);
  }
}

/** What crun says of a machine that was not fixed, or is not any more. */
export function isHybridRefusal(message: string): boolean {
  return message.includes('cgroups in hybrid mode not supported');
}

/** Takes away what fixHybridCgroups() has mounted, unless some container is in it. */
export function unfixHybridCgroups(): void {
  for (const { target, source, type } of readMounts()) {
    if (source !== OURS || type !== 'cgroup' || !target.startsWith(`${ROOT}/`)) continue;
    if (readdirSync(target, { withFileTypes: true }).some((entry) => entry.isDirectory())) continue;
    unmountDetach(target);
    removeUnlessMounted(target);
  }
}

/** Daemons that start side by side may each have mounted there. */
function removeUnlessMounted(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
  }
}
