import { type FSWatcher, readdirSync, readFileSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '#proto/base/clock.ts';

/** Events may be lost when very many come at once: a look at the folder finds what was missed. */
const LOOK_EVERY_MS = 5_000;

/** Says which containers have ended, from the files that conmon leaves. */
export class ExitWatch implements Disposable {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #onExit: (id: string) => void;
  readonly #watcher: FSWatcher;
  #cancelLook: () => void;

  constructor(opts: { folder: string }, modules: { clock: Clock; onExit: (id: string) => void }) {
    this.#folder = opts.folder;
    this.#clock = modules.clock;
    this.#onExit = modules.onExit;
    this.#watcher = watch(opts.folder, (_event, name) => {
      if (name !== null) this.#tell(name);
    });
    this.#cancelLook = this.#lookLater();
  }

  /** Tells of every exit file that is there now. */
  look(): void {
    for (const name of readdirSync(this.#folder)) this.#tell(name);
  }

  #lookLater(): () => void {
    return this.#clock.timer(LOOK_EVERY_MS, () => {
      this.look();
      this.#cancelLook = this.#lookLater();
    });
  }

  /** conmon writes `<id>.XXXXXX` first and renames it. */
  #tell(name: string): void {
    if (!name.includes('.')) this.#onExit(name);
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
    this.#cancelLook();
  }
}

/** The exit code that conmon noted and when it did; undefined while there is none. */
export function readExit(folder: string, id: string): { code: number; atMs: number } | undefined {
  const path = join(folder, id);
  try {
    const text = readFileSync(path, 'latin1').trim();
    return text === '' ? undefined : { code: Number(text), atMs: statSync(path).mtimeMs };
  } catch {
    return undefined;
  }
}
