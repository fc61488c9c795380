import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildContext, TWENTY_STEPS } from '../engines/build-context.ts';
import { DockerEngine } from '../engines/docker-engine.ts';
import type { Engine } from '../engines/engine.ts';
import { EngineSubject, type Slice } from '../engines/engine-subject.ts';
import { ImageWork } from '../engines/image-work.ts';
import { LAYERED, seedLayeredImage } from '../engines/layered-image.ts';
import { LoopbackRegistry } from '../engines/registry.ts';
import { ShoalAlone } from '../engines/shoal-alone.ts';
import type { Programs } from '../peers/peer.ts';
import { pullersIn, pullMs } from '../peers/pullers.ts';
import type { Bench, Sample, Subject } from '../subject.ts';

const FOLDER = '/var/lib/shoal/bench-image';
const CACHED_BUILDS = 5;
/** Both engines delete what was removed some time after they said so. */
const SETTLE_MS = 1_500;

/** Images on one machine, pulled from a registry on loopback and built, Shoal and Docker. */
export const bench: Bench = {
  about: 'pulls and builds, beside dockerd, podman, skopeo and umoci',
  peer: {
    name: 'dockerd',
    programs: ['dockerd', 'containerd', 'runc', 'docker-registry', 'podman', 'skopeo', 'umoci'],
    packages: ['docker.io', 'containerd', 'runc', 'docker-registry', 'podman', 'skopeo', 'umoci'],
    needs: ['iptables', 'libdevmapper1.02.1', 'libsystemd0', 'libseccomp2', 'containers-common'],
  },
  figures: [
    { name: 'pull-vs-dockerd', meaning: '150 MB in five layers, until it can run', unit: 'ms', goal: 0.67 },
    {
      name: 'pull-vs-best-peer',
      meaning: 'the same, beside the faster of podman and skopeo + umoci',
      unit: 'ms',
      goal: 1,
      peer: 'podman, skopeo + umoci',
    },
    { name: 'build-cached-vs-dockerd', meaning: '20 steps that are all cached', unit: 'ms', goal: 0.5 },
    { name: 'build-20-vs-dockerd', meaning: '20 steps without cache', unit: 'ms', goal: 0.7 },
  ],
  slices: ['pull', 'pull-peers', 'build-cached', 'build-20'],
  warmUp: 'build-cached',
  sliceMsMax: 120_000,
  runs: 5,
  subjects: (programs) => {
    const [shoal, docker] = [new ShoalAlone(), new DockerEngine(programs, { swarm: false })];
    const peers: Slice = async () => {
      const took = await pullMs(pullersIn(docker.namespace, programs), theirs.image, join(FOLDER, 'peers'));
      return [{ figure: 'pull-vs-best-peer', value: Math.min(...took) }];
    };
    const storage = new Storage(programs);
    const ours = new WithRegistry(shoal, { programs, storage });
    const theirs = new WithRegistry(docker, { programs, storage, slices: { 'pull-peers': peers } });
    return Promise.resolve({ ours, theirs });
  },
};

/** What both registries serve, made once. */
class Storage {
  readonly folder = join(FOLDER, 'registry');
  readonly #programs: Programs;
  #filled: Promise<void> | undefined;

  constructor(programs: Programs) {
    this.#programs = programs;
  }

  async filled(): Promise<void> {
    this.#filled ??= this.#fill();
    await this.#filled;
  }

  async #fill(): Promise<void> {
    await rm(FOLDER, { recursive: true, force: true });
    const registry = new LoopbackRegistry(this.#programs);
    try {
      await registry.start(this.folder);
      await seedLayeredImage(join(FOLDER, 'seed'), registry.host, this.#programs);
    } finally {
      await registry.stop();
    }
  }
}

interface WithRegistryModules {
  readonly programs: Programs;
  readonly storage: Storage;
  /** Done otherwise than by the engine. */
  readonly slices?: Readonly<Record<string, Slice>>;
}

/** An engine and a registry beside it that has the image. */
class WithRegistry implements Subject {
  readonly name: string;
  readonly #engine: Engine & { readonly namespace: string };
  readonly #subject: EngineSubject;
  readonly #storage: Storage;
  readonly #registry: LoopbackRegistry;

  constructor(
    engine: Engine & { readonly namespace: string },
    { programs, storage, slices = {} }: WithRegistryModules,
  ) {
    this.name = engine.name;
    this.#engine = engine;
    this.#storage = storage;
    this.#registry = new LoopbackRegistry(programs);
    this.#subject = new EngineSubject(engine, {
      pull: pulls('pull-vs-dockerd', () => this.image),
      'pull-peers': pulls('pull-vs-best-peer', () => this.image),
      'build-cached': builds('build-cached-vs-dockerd', TWENTY_STEPS, CACHED_BUILDS),
      'build-20': builds('build-20-vs-dockerd', TWENTY_STEPS, 1),
      ...slices,
    });
  }

  get image(): string {
    return `${this.#registry.host}/${LAYERED}`;
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#storage.filled();
    await this.#subject.start(signal);
    await this.#registry.start(this.#storage.folder, this.#engine.namespace);
  }

  async stop(): Promise<void> {
    await this.#registry.stop();
    await this.#subject.stop();
    await rm(FOLDER, { recursive: true, force: true });
  }

  measure(slice: string, signal: AbortSignal): Promise<readonly Sample[]> {
    return this.#subject.measure(slice, signal);
  }
}

function pulls(figure: string, image: () => string): Slice {
  return async (socket, signal) => {
    const work = new ImageWork(socket, signal);
    const value = await work.pull(image());
    await work.remove(image());
    await sleep(SETTLE_MS, undefined, { signal });
    return [{ figure, value }];
  };
}

/** The same build so often; without cache each is told so. */
function builds(figure: string, dockerfile: string, times: number): Slice {
  return async (socket, signal) => {
    const work = new ImageWork(socket, signal);
    const context = await buildContext(dockerfile);
    const isCached = figure.startsWith('build-cached');
    const query = { t: 'bench-built:1', ...(isCached ? {} : { nocache: '1' }) };
    if (isCached) await work.build(context, query);
    const samples: Sample[] = [];
    for (let at = 0; at < times; at++) samples.push({ figure, value: await work.build(context, query) });
    if (!isCached) await work.remove('bench-built:1');
    return samples;
  };
}
