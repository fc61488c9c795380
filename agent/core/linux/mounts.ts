import { readFileSync } from 'node:fs';
import { SyscallError, unmountDetach, unmountDetachAside } from './sys.ts';

export interface MountEntry {
  readonly root: string;
  readonly target: string;
  readonly type: string;
  /** A device, or whatever name who mounted it gave. */
  readonly source: string;
  /** Options of the file system itself, not of this mount. */
  readonly superOptions: readonly string[];
  readonly propagation: 'shared' | 'slave' | 'private';
}

/** The mounts that this process sees, oldest first. */
export function readMounts(): MountEntry[] {
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'latin1'));
}

/** Parses the format of /proc/PID/mountinfo (proc_pid_mountinfo(5)). */
export function parseMountInfo(text: string): MountEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      const fields = before.split(' ');
      const [type = '', source = '', options = ''] = after.split(' ');
      return {
        root: unescaped(fields[3] ?? ''),
        target: unescaped(fields[4] ?? ''),
        type,
        source: unescaped(source),
        superOptions: options.split(','),
        propagation: propagationOf(fields.slice(6)),
      };
    });
}

function propagationOf(tags: readonly string[]): MountEntry['propagation'] {
  if (tags.some((tag) => tag.startsWith('shared:'))) return 'shared';
  return tags.some((tag) => tag.startsWith('master:')) ? 'slave' : 'private';
}

function unescaped(field: string): string {
  const bytes = field.replace(/\\([0-7]{3})/g, (_all, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString();
}

/** Unmounts everything at or below a folder, the newest first. */
export function unmountUnder(folder: string): void {
  const targets = readMounts()
    .map((entry) => entry.target)
    .filter((target) => target === folder || target.startsWith(`${folder}/`));
  for (const target of targets.reverse()) unmountIfMounted(target);
}

/** Unmounts, and does not mind when nothing is mounted there. */
export function unmountIfMounted(target: string): void {
  try {
    unmountDetach(target);
  } catch (error) {
    if (!wasNotMounted(error)) throw error;
  }
}

/** The same off the event loop. */
export async function unmountIfMountedAside(target: string): Promise<void> {
  await unmountDetachAside(target).catch((error: unknown) => {
    if (!wasNotMounted(error)) throw error;
  });
}

function wasNotMounted(error: unknown): boolean {
  return error instanceof SyscallError && (error.code === 'EINVAL' || error.code === 'ENOENT');
}
