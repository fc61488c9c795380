import {
  chmodSync,
  existsSync,
  type FSWatcher,
  mkdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { ShoalError } from '#proto/base/errors.ts';
import { fixHybridCgroups, isHybridRefusal } from './cgroup-layout.ts';
import { writeFifo } from './fifo.ts';
import { unmountIfMounted } from './mounts.ts';
import { bindReadOnly } from './overlay.ts';
import { type ProcessRef, processRef } from './process.ts';
import { lastMessage, runtimeFailure } from './runtime-failure.ts';
import { quoted, type Spawner } from './spawner.ts';
import { SyscallError } from './sys.ts';

export interface RuntimeOpts {
  /** Folder for what must not outlive a boot; short, without colons. */
  readonly execRoot: string;
  /** Full path of crun. */
  readonly crun: string;
  readonly conmon: string;
}

/** conmon makes it in the bundle when the kernel has killed for want of memory. */
const OOM_FILE = 'oom';

/** How one container is supervised. */
export interface SupervisionSpec {
  readonly id: string;
  /** First word of its command line, for error messages. */
  readonly command: string;
  readonly terminal: boolean;
  readonly stdin: boolean;
  /** Standard input stays open when a client goes away. */
  readonly leaveStdinOpen: boolean;
  /** Absent: output is not kept. */
  readonly logPath?: string;
  /** It is in a user namespace. */
  readonly mapped?: boolean;
}

export interface Supervised {
  readonly init: ProcessRef;
  readonly conmon: ProcessRef | undefined;
}

/**
 * crun, which makes containers, and conmon, which stays with each: keeps its output, and its exit code in a file, while
 * the daemon comes and goes. All of it lives below one folder.
 */
export class Runtime {
  readonly crun: string;
  readonly stateRoot: string;
  readonly exitFolder: string;
  readonly #opts: RuntimeOpts;
  readonly #spawner: Spawner;

  constructor(opts: RuntimeOpts, modules: { spawner: Spawner }) {
    this.#opts = opts;
    this.#spawner = modules.spawner;
    this.crun = join(opts.execRoot, 'crun.bin');
    this.stateRoot = join(opts.execRoot, 'crun');
    this.exitFolder = join(opts.execRoot, 'exits');
  }

  /** crun copies itself into memory at each call unless its file can't be written: so it is bound read-only. */
  open(): void {
    for (const folder of [this.stateRoot, this.exitFolder, join(this.#opts.execRoot, 'c')])
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    // Each bundle says for itself whom it lets in.
    chmodSync(join(this.#opts.execRoot, 'c'), 0o711);
    unmountIfMounted(this.crun);
    writeFileSync(this.crun, '');
    bindReadOnly(this.#opts.crun, this.crun);
  }

  close(): void {
    unmountIfMounted(this.crun);
    rmSync(this.crun, { force: true });
  }

  /** Folder of a container while it runs, or is about to. */
  bundle(id: string): string {
    return join(this.#opts.execRoot, 'c', id);
  }

  /** Makes the container of a prepared bundle; its process waits for `start`. */
  async create(spec: SupervisionSpec): Promise<Supervised> {
    try {
      return await this.#createOnce(spec);
    } catch (error) {
      if (!isHybridRefusal((error as Error).message)) throw error;
      fixHybridCgroups();
      return await this.#createOnce(spec);
    }
  }

  async #createOnce(spec: SupervisionSpec): Promise<Supervised> {
    const bundle = this.bundle(spec.id);
    const line = await this.#spawner.line(
      `cd ${quoted(bundle)}; ${this.#conmonCommand(spec)} 3>&1 </dev/null >/dev/null 2>&1 || ` +
        `echo '{"data":-1,"message":"conmon could not be started"}'; cd /`,
    );
    const answer = JSON.parse(line) as { data: number; message?: string };
    const init = answer.data > 0 ? processRef(answer.data) : undefined;
    if (init === undefined) throw this.#failure(bundle, answer.message, spec.command);
    return { init, conmon: this.conmonOf(spec.id) };
  }

  #failure(bundle: string, said: string | undefined, command: string): Error {
    const message =
      lastMessage(join(bundle, 'oci-log')) ?? said ?? 'the container ended before it was started';
    return runtimeFailure('create', message.trim(), command);
  }

  #conmonCommand(spec: SupervisionSpec): string {
    const bundle = this.bundle(spec.id);
    const words = [
      ...[this.#opts.conmon, '--api-version', '1', '--cid', spec.id, '--cuuid', spec.id, '--name', spec.id],
      ...this.#runtimeWords(spec),
      ...[
        '--runtime-arg',
        `--root=${this.stateRoot}`,
        '--runtime-arg',
        '--log-format=json',
        '--runtime-arg',
        `--log=${join(bundle, 'oci-log')}`,
      ],
      ...['--bundle', bundle, '--persist-dir', bundle, '--exit-dir', this.exitFolder],
      ...[
        '--log-path',
        spec.logPath === undefined ? 'none' : `k8s-file:${spec.logPath}`,
        '--log-level',
        'error',
      ],
      ...['--container-pidfile', join(bundle, 'pidfile'), '--conmon-pidfile', join(bundle, 'conmon.pid')],
      ...['--full-attach', '--no-sync-log', '--no-new-keyring'],
      ...(spec.terminal ? ['--terminal'] : []),
      ...(spec.stdin ? ['--stdin'] : []),
      ...(spec.stdin && spec.leaveStdinOpen ? ['--leave-stdin-open'] : []),
    ];
    return words.map(quoted).join(' ');
  }

  /**
   * In a user namespace crun gives the streams that it was started with to the container's user, and conmon starts it with
   * the machine's /dev/null where there is none. Such a user would own that: he gets a pipe that has ended in its place.
   */
  #runtimeWords({ mapped = false, terminal, stdin }: SupervisionSpec): string[] {
    if (!mapped || (stdin && !terminal)) return ['--runtime', this.crun];
    const streams = terminal ? '<<E 1<&0 2<&0' : '<<E';
    const script = `exec "$0" "$@" ${streams}\nE\n`;
    const args = ['-c', script, this.crun].flatMap((word) => ['--runtime-arg', word]);
    return ['--runtime', '/bin/sh', ...args];
  }

  /** Lets the waiting process go. This is all that `crun start` does; false when it was let go before. */
  start(id: string): boolean {
    const fifo = this.#startFifo(id);
    try {
      writeFifo(fifo, '\0');
      unlinkSync(fifo);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
      throw new ShoalError('INTERNAL', 'the container ended before it was started', { cause: error });
    }
  }

  /**
   * Lets a process go that an earlier daemon left waiting. A fifo without a reader is that of a process that had been let
   * go when the daemon was killed, between writing to it and removing it. True when it was waiting.
   */
  startIfWaiting(id: string): boolean {
    try {
      return this.start(id);
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      rmSync(this.#startFifo(id), { force: true });
      return false;
    }
  }

  #startFifo(id: string): string {
    return join(this.stateRoot, id, 'exec.fifo');
  }

  /** The process that a bundle says is the container's first; undefined when it was never made or has ended. */
  initOf(id: string): ProcessRef | undefined {
    return processIn(join(this.bundle(id), 'pidfile'));
  }

  conmonOf(id: string): ProcessRef | undefined {
    return processIn(join(this.bundle(id), 'conmon.pid'));
  }

  /** True when the kernel killed a process of the container for want of memory, as conmon saw it. */
  sawOom(id: string): boolean {
    return existsSync(join(this.bundle(id), OOM_FILE));
  }

  /** Calls `onOom` each time that conmon sees it, from now on and for what it saw before. */
  watchOom(id: string, onOom: () => void): Disposable {
    const file = join(this.bundle(id), OOM_FILE);
    const look = (): void => {
      if (!existsSync(file)) return;
      // The next time shows only in a file that is made anew.
      rmSync(file, { force: true });
      onOom();
    };
    const watcher = watched(this.bundle(id), (name) => {
      if (name === OOM_FILE) look();
    });
    look();
    return { [Symbol.dispose]: () => watcher?.close() };
  }

  /** Tells the container's terminal its size, in characters. False when conmon is gone. */
  resize(id: string, rows: number, columns: number): boolean {
    return this.#control(id, `1 ${rows} ${columns}\n`);
  }

  /** Makes conmon open its log file anew, after the old one was renamed. */
  reopenLog(id: string): boolean {
    return this.#control(id, '2 0 0\n');
  }

  #control(id: string, line: string): boolean {
    try {
      writeFifo(join(this.bundle(id), 'ctl'), line);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENXIO' || code === 'ENOENT') return false;
      throw error;
    }
  }

  attachPath(id: string): string {
    return join(this.bundle(id), 'attach');
  }

  /** Forgets a container that has ended: crun's notes, its bundle with what may be mounted there, its exit file. */
  forget(id: string): void {
    const bundle = this.bundle(id);
    for (const name of ['rootfs', 'shm']) unmountIfMounted(join(bundle, name));
    rmSync(join(this.stateRoot, id), { recursive: true, force: true });
    rmSync(join(this.exitFolder, id), { force: true });
    removeBundle(bundle);
  }
}

/** A root file system that could not be unmounted must not be emptied by mistake. */
function removeBundle(bundle: string): void {
  try {
    rmSync(bundle, { recursive: true, force: true });
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
  }
}

function processIn(file: string): ProcessRef | undefined {
  try {
    const pid = Number(readFileSync(file, 'latin1').trim());
    return pid > 0 ? processRef(pid) : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined where the machine has no watches left: what is to be seen is then seen at the container's end. */
function watched(folder: string, onChange: (name: string | null) => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, (_event, name) => onChange(name));
    return watcher.on('error', () => watcher.close());
  } catch {
    return undefined;
  }
}
