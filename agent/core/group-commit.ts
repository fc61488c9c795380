import { closeSync, fdatasync, fdatasyncSync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { Coalescer } from '../net/coalescer.ts';

export interface GroupCommitModules {
  /** Brings a descriptor's data to the disk. */
  readonly sync: (fd: number) => Promise<void>;
}

const REAL: GroupCommitModules = { sync: promisify(fdatasync) };

/** Brings what was written to a file to the disk: one sync for all who wait for theirs at the same moment. */
export class GroupCommit implements Disposable {
  readonly #fd: number;
  readonly #modules: GroupCommitModules;
  readonly #syncs = new Coalescer(() => this.#sync());
  #written = true;

  /** The file is there already; from now on it is on the disk too. */
  constructor(opts: { file: string }, modules = REAL) {
    this.#modules = modules;
    this.#fd = openSync(opts.file, 'r');
    const folder = openSync(dirname(opts.file), 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }

  /** Something was written to the file, by whatever descriptor. */
  wrote(): void {
    this.#written = true;
  }

  /** Resolves when all that was written before the call is on the disk; meanwhile other work goes on. */
  committed(): Promise<void> {
    return this.#syncs.run();
  }

  /** The same at once. */
  commit(): void {
    fdatasyncSync(this.#fd);
  }

  async #sync(): Promise<void> {
    if (!this.#written) return;
    this.#written = false;
    try {
      await this.#modules.sync(this.#fd);
    } catch (error) {
      this.#written = true;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
