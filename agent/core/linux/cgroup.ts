import { readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '#proto/base/clock.ts';
import type { CgroupLayout } from './cgroup-layout.ts';

const FREEZE_WAIT_MS_MAX = 10_000;
const REMOVE_TRIES_MAX = 200;
const TRY_AGAIN_MS = 5;

/** The control group of one container, in every hierarchy of the machine. */
export class Cgroup {
  readonly layout: CgroupLayout;
  /** Below the root of each hierarchy: `/shoal/<instance>/<id>`. */
  readonly path: string;
  readonly #clock: Clock;

  constructor(opts: { layout: CgroupLayout; path: string }, modules: { clock: Clock }) {
    this.layout = opts.layout;
    this.path = opts.path;
    this.#clock = modules.clock;
  }

  /** Folder of this group for a controller (memory, cpu, pids …). */
  folder(controller: string): string {
    const root = this.layout.version === 2 ? this.layout.roots[0] : this.layout.rootOf.get(controller);
    return join(root ?? `/sys/fs/cgroup/${controller}`, this.path);
  }

  /** Path of a file of the group. */
  file(controller: string, name: string): string {
    return join(this.folder(controller), name);
  }

  /** What a file of the group says, undefined when the kernel has none by that name. */
  read(controller: string, file: string): string | undefined {
    try {
      return readFileSync(this.file(controller, file), 'utf8').trim();
    } catch {
      return undefined;
    }
  }

  write(controller: string, file: string, value: string): void {
    writeFileSync(this.file(controller, file), value);
  }

  /** Pids of all processes in the group and the groups below it. */
  processes(): number[] {
    const root = this.layout.version === 2 ? (this.layout.roots[0] as string) : this.#root('pids');
    return processesUnder(join(root, this.path));
  }

  #root(controller: string): string {
    return this.layout.rootOf.get(controller) ?? (this.layout.roots[0] as string);
  }

  /** How often the kernel killed a process of this group for want of memory. */
  oomKills(): number {
    const text =
      this.layout.version === 2
        ? this.read('memory', 'memory.events')
        : this.read('memory', 'memory.oom_control');
    return Number(/^oom_kill (\d+)$/m.exec(text ?? '')?.[1] ?? 0);
  }

  /** Stops every process of the group where it is; resolves when all stand still. */
  async freeze(): Promise<void> {
    if (this.layout.version === 2) {
      this.write('', 'cgroup.freeze', '1');
      return this.#until(() => /^frozen 1$/m.test(this.read('', 'cgroup.events') ?? ''));
    }
    return this.#until(() => {
      this.write('freezer', 'freezer.state', 'FROZEN');
      return this.read('freezer', 'freezer.state') === 'FROZEN';
    });
  }

  thaw(): void {
    if (this.layout.version === 2) this.write('', 'cgroup.freeze', '0');
    else this.write('freezer', 'freezer.state', 'THAWED');
  }

  async #until(reached: () => boolean): Promise<void> {
    const deadline = this.#clock.monotonicMs() + FREEZE_WAIT_MS_MAX;
    while (!reached()) {
      if (this.#clock.monotonicMs() > deadline) throw new Error(`${this.path}: its processes won't freeze`);
      await this.#clock.sleep(1);
    }
  }

  /** Removes the group everywhere; waits a little for processes that are still on their way out. */
  async remove(): Promise<void> {
    const folders = this.layout.roots.map((root) => join(root, this.path));
    for (let tries = 0; tries < REMOVE_TRIES_MAX; tries += 1) {
      const busy = folders.filter((folder) => !removed(folder));
      if (busy.length === 0) return;
      await this.#clock.sleep(TRY_AGAIN_MS);
    }
    throw new Error(`${this.path}: the control group still has processes`);
  }
}

/** Removes an empty group of the machine, such as the parent of all containers; leaves it when it is used. */
export function removeGroupIfEmpty(layout: CgroupLayout, path: string): void {
  for (const root of layout.roots) {
    try {
      rmdirSync(join(root, path));
    } catch {
      // Absent, or somebody else's containers are in it.
    }
  }
}

/** Names of the groups right below this one, in any hierarchy. */
export function groupsUnder(layout: CgroupLayout, path: string): string[] {
  return [...new Set(layout.roots.flatMap((root) => subfolders(join(root, path))))];
}

function processesUnder(folder: string): number[] {
  let own: number[];
  try {
    own = readFileSync(join(folder, 'cgroup.procs'), 'latin1').split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
  return [...own, ...subfolders(folder).flatMap((name) => processesUnder(join(folder, name)))];
}

function subfolders(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** True when the folder is gone afterwards. Groups that the container made itself go first. */
function removed(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
  }
  const children = subfolders(folder);
  return children.length > 0 && children.every((name) => removed(join(folder, name))) && removed(folder);
}
