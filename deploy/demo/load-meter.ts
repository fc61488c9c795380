import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { LoadCounts } from './load.ts';

const NOTHING: LoadCounts = { sent: 0, answered: 0, failed: 0, versions: {} };

/** Runs the load and knows its counts. */
export class LoadMeter implements AsyncDisposable {
  readonly #child: ChildProcess;
  #counts = NOTHING;

  /** Starts `perSecond` requests a second at each of the URLs. */
  constructor(urls: readonly string[], perSecond: number) {
    const program = join(import.meta.dirname, 'load.ts');
    this.#child = fork(program, [String(perSecond), ...urls], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child.on('message', (counts: LoadCounts) => {
      this.#counts = counts;
    });
  }

  get counts(): LoadCounts {
    return this.#counts;
  }

  /** Sends nothing more, and resolves with the counts when every answer that was due has come or failed. */
  async finish(): Promise<LoadCounts> {
    if (this.#child.connected) {
      this.#child.send('stop');
      await once(this.#child, 'exit');
    }
    return this.#counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
  }
}
