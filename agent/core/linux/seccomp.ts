import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ShoalError } from '#proto/base/errors.ts';
import type { Runtime } from './runtime.ts';
import { lastMessage } from './runtime-failure.ts';
import { withNewerCalls } from './seccomp-filter.ts';
import { defaultSeccomp, type SeccompProfile } from './seccomp-profile.ts';
import { quoted, type Spawner } from './spawner.ts';

/**
 * Compiled filters by profile. Compiling takes longer than all the rest of starting a container, so each is done once
 * and kept on disk: crun compiles it for a container that never runs, and leaves the program in its notes.
 */
export class SeccompFilters {
  readonly #folder: string;
  readonly #runtime: Runtime;
  readonly #spawner: Spawner;
  readonly #compiled = new Map<string, Promise<string>>();

  constructor(opts: { folder: string }, modules: { runtime: Runtime; spawner: Spawner }) {
    this.#folder = opts.folder;
    this.#runtime = modules.runtime;
    this.#spawner = modules.spawner;
  }

  /** Shoal's own profile for these capabilities, as base64 for crun's annotation. */
  forCapabilities(capabilities: readonly string[]): Promise<string> {
    return this.#filter(defaultSeccomp([...capabilities].sort(), process.arch), withNewerCalls);
  }

  /** A user's profile. */
  forProfile(profile: SeccompProfile): Promise<string> {
    return this.#filter(profile, (program) => program);
  }

  #filter(profile: SeccompProfile, finish: (program: Buffer) => Buffer): Promise<string> {
    const key = createHash('sha256')
      .update(JSON.stringify(profile))
      .update(finish.name)
      .digest('hex')
      .slice(0, 32);
    let compiled = this.#compiled.get(key);
    if (compiled === undefined) {
      compiled = this.#load(key, profile).then((program) => finish(program).toString('base64'));
      this.#compiled.set(key, compiled);
      compiled.catch(() => this.#compiled.delete(key));
    }
    return compiled;
  }

  async #load(key: string, profile: SeccompProfile): Promise<Buffer> {
    const file = join(this.#folder, `${key}.bpf`);
    if (existsSync(file)) return readFileSync(file);
    const program = await this.#compile(`seccomp-${key}`, profile);
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    writeFileSync(`${file}.new`, program);
    renameSync(`${file}.new`, file);
    return program;
  }

  async #compile(id: string, profile: SeccompProfile): Promise<Buffer> {
    const bundle = this.#runtime.bundle(id);
    mkdirSync(join(bundle, 'rootfs', 'dev'), { recursive: true });
    try {
      writeFileSync(join(bundle, 'rootfs', 'nothing'), '', { mode: 0o755 });
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(neverRun(profile)));
      const crun = `${this.#runtime.crun} --root=${quoted(this.#runtime.stateRoot)} --cgroup-manager=disabled`;
      const log = join(bundle, 'oci-log');
      const create = `${crun} --log-format=json --log=${quoted(log)} create --bundle ${quoted(bundle)} ${id}`;
      await this.#spawner.code(`${create} </dev/null >/dev/null 2>&1`);
      const program = join(this.#runtime.stateRoot, id, 'seccomp.bpf');
      if (!existsSync(program))
        throw new ShoalError(
          'INVALID_ARGUMENT',
          `invalid seccomp profile: ${lastMessage(log) ?? 'not compiled'}`,
        );
      const compiled = readFileSync(program);
      await this.#spawner.code(`${crun} delete -f ${id} >/dev/null 2>&1`);
      return compiled;
    } finally {
      rmSync(join(this.#runtime.stateRoot, id), { recursive: true, force: true });
      rmSync(bundle, { recursive: true, force: true });
    }
  }
}

function neverRun(profile: SeccompProfile): unknown {
  return {
    ociVersion: '1.0.2',
    process: { user: { uid: 0, gid: 0 }, args: ['/nothing'], cwd: '/', env: [], noNewPrivileges: true },
    root: { path: 'rootfs' },
    mounts: [],
    linux: { namespaces: [{ type: 'mount' }, { type: 'pid' }], seccomp: profile },
  };
}
