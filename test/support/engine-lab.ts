import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContainerConfig, HostConfig } from '#agent/core/container-types.ts';
import { HOST_PLATFORM } from '#agent/core/image/platform.ts';
import { readCgroupLayout } from '#agent/core/linux/cgroup-layout.ts';
import { readMounts, unmountUnder } from '#agent/core/linux/mounts.ts';
import { type Engine, openEngine } from '#agent/core/open-engine.ts';
import type { ImageSource } from '#agent/core/rootfs.ts';
import { systemClock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { nullLog } from '#proto/base/log.ts';
import { systemRandom } from '#proto/base/random.ts';
import { BareNetwork } from './bare-network.ts';
import { waitFor } from './wait-for.ts';

/** Names of the one image there is. */
const NAMES = ['busybox', 'busybox:latest', 'alpine:3.10'];

/** A machine of its own for one engine: folders, an image made of busybox, a data plane without wires. */
export class EngineLab implements AsyncDisposable {
  readonly folder: string;
  readonly network: BareNetwork;
  readonly images: ImageSource;
  readonly held = new Map<string, Set<string>>();
  readonly instance: string;
  engine!: Engine;

  private constructor(folder: string) {
    this.folder = folder;
    this.instance = this.folder.slice(this.folder.lastIndexOf('/') + 1);
    this.network = new BareNetwork(join(this.folder, 'ns'));
    if (!existsSync(join(folder, 'busybox'))) makeBusyboxRoot(join(folder, 'busybox'));
    this.images = this.#imageSource();
  }

  static open(name: string): Promise<EngineLab> {
    return EngineLab.at(mkdtempSync(join(tmpdir(), `shoal-test-${name}-`)));
  }

  /** In a folder that another lab, perhaps of another process, has used before. */
  static async at(folder: string): Promise<EngineLab> {
    const lab = new EngineLab(folder);
    await lab.openEngine();
    return lab;
  }

  async openEngine(): Promise<Engine> {
    this.engine = await openEngine(
      {
        dataRoot: join(this.folder, 'data'),
        execRoot: join(this.folder, 'run'),
        instance: this.instance,
        spawnWorkers: 2,
      },
      { clock: systemClock, random: systemRandom, log: nullLog, images: this.images, net: this.network },
    );
    return this.engine;
  }

  /** Makes a container of the busybox image; give `Cmd` or what else it needs. */
  async create(
    config: Partial<ContainerConfig>,
    hostConfig: HostConfig = {},
    name?: string,
  ): Promise<string> {
    const { id } = await this.engine.containers.create(name, {
      config: { Image: 'busybox', ...config },
      hostConfig: { NetworkMode: 'none', ...hostConfig },
      endpoints: {},
    });
    return id;
  }

  async run(config: Partial<ContainerConfig>, hostConfig: HostConfig = {}, name?: string): Promise<string> {
    const id = await this.create(config, hostConfig, name);
    await this.engine.containers.start(id);
    return id;
  }

  /** Runs a shell line to its end: its exit code and what it said. */
  async shell(
    line: string,
    config: Partial<ContainerConfig> = {},
    hostConfig: HostConfig = {},
  ): Promise<{ code: number; out: string; err: string }> {
    const id = await this.run({ Cmd: ['sh', '-c', line], ...config }, hostConfig);
    const { exitCode } = await this.engine.containers.wait(id, 'not-running');
    const said = await this.said(id);
    await this.engine.containers.remove(id, { volumes: true });
    return { code: exitCode, ...said };
  }

  /** Resolves when the container has said this; it is to be within one line. */
  async untilSaid(id: string, text: string): Promise<void> {
    const lines = this.engine.containers.logs(id, { stdout: true, stderr: true, follow: true });
    for await (const { data } of lines) if (data.toString().includes(text)) return;
    throw new Error(`container ${id} ended without saying ${text}`);
  }

  /** All that a container has said until now. */
  async said(id: string): Promise<{ out: string; err: string }> {
    const text = { stdout: '', stderr: '' };
    for await (const { stream, data } of this.engine.containers.logs(id, {
      stdout: true,
      stderr: true,
      follow: false,
    }))
      text[stream] += data.toString();
    return { out: text.stdout, err: text.stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { id } of this.engine.containers.all())
      await this.engine.containers.remove(id, { force: true, volumes: true }).catch(() => undefined);
    await this.engine[Symbol.asyncDispose]();
    this.destroy();
    // Whoever supervised a container ends a moment after it; what stays for good is for the test to tell.
    await waitFor('nothing is left', () => traces(this.instance).length === 0).catch(() => undefined);
  }

  /** For when the engine is gone already. */
  destroy(): void {
    unmountUnder(this.folder);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #imageSource(): ImageSource {
    const config = { Env: ['PATH=/bin', 'FROM_IMAGE=yes'], Cmd: ['sh'] };
    return {
      resolve: (reference) => {
        if (NAMES.includes(reference) || reference === 'sha256:busybox')
          return { id: 'sha256:busybox', config, platform: HOST_PLATFORM };
        throw new ShoalError(
          'NOT_FOUND',
          `No such image: ${reference.includes(':') ? reference : `${reference}:latest`}`,
        );
      },
      layers: () => [join(this.folder, 'busybox')],
      hold: (image, holder) => void this.held.set(image, (this.held.get(image) ?? new Set()).add(holder)),
      release: (image, holder) => void this.held.get(image)?.delete(holder),
    };
  }
}

function makeBusyboxRoot(root: string): void {
  for (const folder of ['bin', 'etc', 'tmp', 'root', 'data', 'mnt', 'opt'])
    mkdirSync(join(root, folder), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  for (const name of execFileSync('/bin/busybox', ['--list']).toString().trim().split('\n'))
    if (name !== 'busybox') symlinkSync('busybox', join(root, 'bin', name));
  writeFileSync(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n',
  );
  writeFileSync(join(root, 'etc/group'), 'root:x:0:root\ndaemon:x:1:\nstaff:x:50:\n');
  writeFileSync(join(root, 'data/from-image'), 'content of the image\n');
}

/** What a test must not leave behind: mounts, control groups and processes that bear its mark. */
export function traces(mark: string): string[] {
  const mounts = readMounts().filter(({ target }) => target.includes(mark));
  const groups = readCgroupLayout().roots.flatMap((root) =>
    groupsIn(join(root, 'shoal'))
      .filter((name) => name.includes(mark))
      .map((name) => join(root, 'shoal', name)),
  );
  const processes = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandOf(pid).includes(mark));
  return [
    ...mounts.map(({ target }) => `mount ${target}`),
    ...groups,
    ...processes.map((pid) => `process ${pid}`),
  ];
}

function groupsIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}
