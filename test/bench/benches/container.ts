import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { cpuMsOf, memoryMibOf } from '../engines/accounting.ts';
import { Containers } from '../engines/containers.ts';
import { DockerEngine } from '../engines/docker-engine.ts';
import { EngineSubject, type Slice } from '../engines/engine-subject.ts';
import { floorCpuMs } from '../engines/floor.ts';
import { IMAGE } from '../engines/image.ts';
import { ShoalAlone } from '../engines/shoal-alone.ts';
import { dockerCli } from '../peers/docker-cli.ts';
import { DOCKERD } from '../peers/dockerd.ts';
import type { Programs } from '../peers/peer.ts';
import type { Bench, Sample } from '../subject.ts';

const CLI_CALLS = 5;
const MANY = 100;
/** Running while the memory of each is looked at. */
const HELD = 40;
/** Both engines let go of memory some time after they have worked. */
const REST_MS = 20_000;

/** Containers on one machine without a swarm, Shoal and Docker, driven by the same client. */
export const bench: Bench = {
  about: 'containers on one machine, beside dockerd and containerd',
  peer: DOCKERD,
  figures: [
    { name: 'run-true-vs-dockerd', meaning: 'docker run --rm IMAGE true', unit: 'ms', goal: 0.35 },
    { name: 'run-true-nonet-vs-dockerd', meaning: 'the same with --network none', unit: 'ms', goal: 0.3 },
    { name: 'exec-vs-dockerd', meaning: 'docker exec CONTAINER true', unit: 'ms', goal: 0.6 },
    { name: 'stop-vs-dockerd', meaning: 'docker stop of a process that obeys', unit: 'ms', goal: 0.6 },
    {
      name: 'start-100-rate-vs-dockerd',
      meaning: '100 containers created and started, 8 in flight',
      unit: 'per s',
      goal: 8,
    },
    {
      name: 'cpu-per-container-vs-floor',
      meaning: 'processor time of each of them, without network',
      unit: 'ms',
      goal: 1.5,
      peer: 'conmon + crun',
    },
    { name: 'idle-pss-vs-dockerd', meaning: 'memory of the idle engine, PSS', unit: 'MiB', goal: 1 },
    { name: 'idle-rss-vs-dockerd', meaning: 'the same, shared pages counted in full', unit: 'MiB' },
    {
      name: 'pss-per-container-vs-shim',
      meaning: 'what it grows by for a container',
      unit: 'MiB',
      goal: 0.25,
    },
  ],
  slices: ['run', 'run-nonet', 'exec', 'stop', 'start-100', 'cpu', 'memory'],
  warmUp: 'run',
  sliceMsMax: 180_000,
  runs: 3,
  async subjects(programs) {
    const [shoal, docker] = [new ShoalAlone(), new DockerEngine(programs, { swarm: false })];
    const common = commonSlices(programs);
    return {
      ours: new EngineSubject(shoal, {
        ...common,
        cpu: (socket, signal) => cpuOf(shoal, socket, signal),
        memory: (socket, signal) => memoryOf(shoal.folder, socket, signal),
      }),
      theirs: new EngineSubject(docker, {
        ...common,
        cpu: (_socket, signal) => cpuOfFloor(shoal, signal),
        memory: (socket, signal) => memoryOf(docker.folder, socket, signal),
      }),
    };
  },
};

function commonSlices(programs: Programs): Record<string, Slice> {
  const cli = dockerCli(programs);
  const docker = (socket: string, ...words: string[]): Promise<unknown> =>
    promisify(execFile)(cli, ['--host', `unix://${socket}`, ...words]);
  return {
    run: (socket) => timed('run-true-vs-dockerd', () => docker(socket, 'run', '--rm', IMAGE, 'true')),
    'run-nonet': (socket) =>
      timed('run-true-nonet-vs-dockerd', () =>
        docker(socket, 'run', '--rm', '--network', 'none', IMAGE, 'true'),
      ),
    exec: (socket, signal) =>
      withContainers(socket, signal, async (containers) => {
        const id = await containers.startOne();
        return await timed('exec-vs-dockerd', () => docker(socket, 'exec', id, 'true'));
      }),
    stop: (socket, signal) =>
      withContainers(socket, signal, async (containers) => {
        const ids = await containers.start(CLI_CALLS);
        return await timed('stop-vs-dockerd', () => docker(socket, 'stop', ids.pop() ?? ''));
      }),
    'start-100': (socket, signal) =>
      withContainers(socket, signal, async (containers) => {
        const tookMs = await msOf(() => containers.start(MANY));
        return [{ figure: 'start-100-rate-vs-dockerd', value: (MANY * 1000) / tookMs }];
      }),
  };
}

async function withContainers(
  socket: string,
  signal: AbortSignal,
  work: (containers: Containers) => Promise<Sample[]>,
): Promise<Sample[]> {
  const containers = new Containers(socket, signal);
  try {
    return await work(containers);
  } finally {
    await containers.removeAll();
  }
}

async function timed(figure: string, work: () => Promise<unknown>): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let call = 0; call < CLI_CALLS; call++) samples.push({ figure, value: await msOf(work) });
  return samples;
}

async function msOf(work: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  await work();
  return performance.now() - startedAtMs;
}

function cpuOf({ controlGroup }: ShoalAlone, socket: string, signal: AbortSignal): Promise<Sample[]> {
  return withContainers(socket, signal, async (containers) => {
    const beforeMs = cpuMsOf(controlGroup);
    await containers.start(MANY, 'none');
    return cpuSample((cpuMsOf(controlGroup) - beforeMs) / MANY);
  });
}

/** The same containers, as far as crun is told of them. */
function cpuOfFloor(shoal: ShoalAlone, signal: AbortSignal): Promise<Sample[]> {
  return withContainers(shoal.socket, signal, async (containers) => {
    const config = await shoal.configOf(await containers.startOne('none'));
    return cpuSample(await floorCpuMs(MANY, config, shoal.crun));
  });
}

function cpuSample(value: number): Sample[] {
  return [{ figure: 'cpu-per-container-vs-floor', value }];
}

async function memoryOf(folder: string, socket: string, signal: AbortSignal): Promise<Sample[]> {
  await sleep(REST_MS, undefined, { signal });
  const idle = memoryMibOf(folder);
  return await withContainers(socket, signal, async (containers) => {
    await containers.start(HELD);
    await sleep(REST_MS, undefined, { signal });
    return [
      { figure: 'idle-pss-vs-dockerd', value: idle.pss },
      { figure: 'idle-rss-vs-dockerd', value: idle.rss },
      { figure: 'pss-per-container-vs-shim', value: (memoryMibOf(folder).pss - idle.pss) / HELD },
    ];
  });
}
