import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { BuilderModules, BuildOptions } from '#agent/core/build/build.ts';
import { build } from '#agent/core/build/builder.ts';
import type { BuildOutput } from '#agent/core/build/output.ts';
import { ownerOf } from '#agent/core/build/owner.ts';
import type { Step, StepResult, StepRunner } from '#agent/core/build/step-runner.ts';
import type { ImageStore } from '#agent/core/image/image-store.ts';
import type { StoredImage } from '#agent/core/image/image-table.ts';
import { Images } from '#agent/core/image/images.ts';
import type { Progress } from '#agent/core/image/progress.ts';
import { parseReference } from '#agent/core/image/reference.ts';
import { unmountIfMounted } from '#agent/core/linux/mounts.ts';
import { mountOverlay } from '#agent/core/linux/overlay.ts';
import { Registries } from '#agent/core/registry/registries.ts';
import { systemClock } from '#proto/base/clock.ts';
import { systemRandom } from '#proto/base/random.ts';
import { type Item, makeImage, openStore, scratch, tarOf } from '../image/support.ts';

const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_SETUID',
  'CAP_SETGID',
  'CAP_KILL',
  'CAP_MKNOD',
];

/** Runs steps with crun alone, in a folder of the test's own. */
export class CrunRunner implements StepRunner {
  readonly #root: string;
  readonly steps: Step[] = [];

  constructor(t: ExecutionContext) {
    this.#root = scratch(t);
  }

  async run(step: Step): Promise<StepResult> {
    this.steps.push(step);
    const id = `shoal-test-${step.id.slice(0, 12)}`;
    const bundle = join(this.#root, id);
    const rootfs = join(bundle, 'rootfs');
    mkdirSync(rootfs, { recursive: true });
    // What crun needs to mount on is in a layer of its own, so that it is no part of what the step changed.
    const init = join(this.#root, 'init');
    for (const name of ['dev', 'proc']) mkdirSync(join(init, name), { recursive: true });
    mountOverlay({ lowers: [init, ...step.lowers], writable: step }, rootfs);
    try {
      mkdirSync(join(rootfs, step.workdir), { recursive: true });
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(configOf(step, rootfs)));
      const crun = [`--root=${this.#root}/crun`, '--cgroup-manager=disabled'];
      const kill = (): void => void spawn('crun', [...crun, 'delete', '--force', id], { stdio: 'ignore' });
      return await finished(
        spawn('crun', [...crun, 'run', '--bundle', bundle, id], { stdio: 'pipe' }),
        step,
        kill,
      );
    } finally {
      unmountIfMounted(rootfs);
      rmSync(bundle, { recursive: true, force: true });
    }
  }
}

function configOf(step: Step, rootfs: string): object {
  const { uid, gid } = step.user === '' ? { uid: 0, gid: 0 } : ownerOf(step.user, rootfs);
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid, gid },
      args: step.args,
      env: step.env,
      cwd: step.workdir,
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
    },
    root: { path: rootfs },
    hostname: step.id.slice(0, 12),
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
    ],
    linux: { namespaces: ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type })) },
  };
}

async function finished(
  child: ChildProcessWithoutNullStreams,
  step: Step,
  kill: () => void,
): Promise<StepResult> {
  step.signal.addEventListener('abort', kill, { once: true });
  child.stdin.end();
  const exited = once(child, 'exit');
  const pump = async (stream: 'stdout' | 'stderr'): Promise<void> => {
    for await (const data of child[stream]) await step.output(stream, data as Buffer);
  };
  await Promise.all([pump('stdout'), pump('stderr')]);
  const [code] = (await exited) as [number | null];
  step.signal.removeEventListener('abort', kill);
  step.signal.throwIfAborted();
  return { exitCode: code ?? 137 };
}

const APPLETS = [
  'sh',
  'cat',
  'echo',
  'ls',
  'mkdir',
  'mktemp',
  'chmod',
  'chown',
  'rm',
  'id',
  'touch',
  'ln',
  'stat',
  'env',
  'pwd',
  'sleep',
  'yes',
  'true',
  'false',
  'sed',
  'setsid',
];

/** A small system: busybox, two users, /tmp. */
export const BUSYBOX: readonly Item[] = [
  { name: 'bin', type: 'directory', mode: 0o755 },
  { name: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 },
  ...APPLETS.map((name): Item => ({ name: `bin/${name}`, type: 'symlink', linkName: 'busybox' })),
  { name: 'etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/:/bin/sh\n' },
  { name: 'etc/group', content: 'root:x:0:\nweb:x:102:\nother:x:200:\n' },
  { name: 'tmp', type: 'directory', mode: 0o1777 },
  { name: 'proc', type: 'directory', mode: 0o755 },
];

/** Collects what a build says. */
export class Lines implements BuildOutput {
  said = '';
  errors = '';
  readonly ids: string[] = [];
  readonly pulls: Progress[] = [];

  text(text: string): Promise<void> {
    this.said += text;
    return Promise.resolve();
  }

  errorText(text: string): Promise<void> {
    this.errors += text;
    return Promise.resolve();
  }

  progress = (progress: Progress): void => void this.pulls.push(progress);

  built(imageId: string): Promise<void> {
    this.ids.push(imageId);
    return Promise.resolve();
  }

  /** Lines, with ids by the order in which they first appear: `<1>`, `<2>`, … */
  lines(): string[] {
    const known: string[] = [];
    const text = this.said.replace(/\b[0-9a-f]{12}\b/g, (id) => {
      if (!known.includes(id)) known.push(id);
      return `<${known.indexOf(id) + 1}>`;
    });
    return text.split('\n').slice(0, -1);
  }
}

export interface Bench {
  readonly store: ImageStore;
  readonly images: Images;
  readonly runner: CrunRunner;
  readonly base: StoredImage;
  readonly modules: BuilderModules;
}

/** A store with `busybox:latest` in it, and all that a build needs. */
export async function openBench(t: ExecutionContext): Promise<Bench> {
  const store = await openStore(t);
  const registries = new Registries({}, { clock: systemClock });
  t.teardown(() => registries[Symbol.dispose]());
  const images = new Images({ store, registries });
  const runner = new CrunRunner(t);
  const base = await makeImage(store, { files: BUSYBOX, name: 'busybox', run: { Cmd: ['sh'] } });
  return {
    store,
    images,
    runner,
    base,
    modules: { images, runner, clock: systemClock, random: systemRandom },
  };
}

export type Files = Readonly<Record<string, string | Buffer | Item>>;

/** An archive of files by their names; folders on the way are made. */
export function contextOf(dockerfile: string, files: Files = {}): Buffer {
  const items = Object.entries(files).map(([name, file]): Item => {
    if (typeof file === 'string' || Buffer.isBuffer(file)) return { name, content: file };
    return { ...file, name };
  });
  return tarOf({ name: 'Dockerfile', content: dockerfile }, ...items);
}

async function* once_(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

export interface Built {
  readonly image: StoredImage;
  readonly out: Lines;
}

export const DEFAULTS: BuildOptions = {
  tags: [],
  buildArgs: new Map(),
  labels: {},
  noCache: false,
  cacheFrom: [],
  pull: false,
  remove: true,
  forceRemove: false,
  network: 'default',
  host: {},
  auths: {},
};

/** Builds, and says what came of it. */
export async function buildOf(
  bench: Bench,
  context: Buffer,
  options: Partial<Omit<BuildOptions, 'tags'>> & { tags?: string[] } = {},
  more: { out?: Lines; signal?: AbortSignal } = {},
): Promise<Built> {
  const { out = new Lines(), signal = new AbortController().signal } = more;
  const all = { ...DEFAULTS, ...options, tags: (options.tags ?? []).map(parseReference) };
  const image = await build(once_(context), all, out, signal, bench.modules);
  return { image, out };
}

/** A file of an image as containers see it; undefined when it is not there. */
export function fileIn(bench: Bench, image: StoredImage, path: string): string | undefined {
  for (const layer of bench.store.layers(image.id)) {
    try {
      return readFileSync(join(layer, path), 'utf8');
    } catch {
      // Perhaps further down.
    }
  }
  return undefined;
}

/** Nothing of builds is left: no folders, no mounts, no trees that are no layers. */
export function leftovers(bench: Bench): string[] {
  const { root } = bench.store;
  const builds = readdirSync(join(root, 'build'));
  const trees = readdirSync(join(root, 'l')).filter((name) => name.startsWith('new-'));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(root));
  return [...builds, ...trees, ...readdirSync(join(root, 'tmp')), ...mounts];
}
