import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CgroupLayout } from './cgroup-layout.ts';

export interface CgroupMovesOpts {
  readonly layout: Pick<CgroupLayout, 'version' | 'roots' | 'rootOf'>;
  /** Says in which groups this process is. */
  readonly membership?: string;
}

/**
 * The kernel waits some ten milliseconds before it moves a process into another control group, unless it has moved one
 * just before (cgroup_threadgroup_rwsem: a grace period of RCU). Asked to move this process to where it is anyhow, it
 * waits while the process that is to be moved is still being made.
 */
export class CgroupMoves {
  readonly #opts: CgroupMovesOpts;
  #asked = false;

  constructor(opts: CgroupMovesOpts) {
    this.#opts = opts;
  }

  /** A process is soon to be moved. Without this, or where it fails, that takes longer and goes as well. */
  expect(): void {
    if (this.#asked) return;
    this.#asked = true;
    void this.#stay()
      .catch(() => undefined)
      .finally(() => {
        this.#asked = false;
      });
  }

  /** Looked up each time: somebody may have moved this process, and it must not be moved back. */
  async #stay(): Promise<void> {
    const { layout, membership = '/proc/self/cgroup' } = this.#opts;
    const [root, line] =
      layout.version === 2 ? [layout.roots[0], /^0::(.*)$/m] : [layout.rootOf.get('pids'), /:pids:(.*)$/m];
    const group = line.exec(readFileSync(membership, 'latin1'))?.[1];
    if (root === undefined || group === undefined) return;
    await writeFile(join(root, group, 'cgroup.procs'), String(process.pid), { flag: 'r+' });
  }
}
