import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { DockerEngine } from '../engines/docker-engine.ts';
import { EngineSubject, type Slice } from '../engines/engine-subject.ts';
import { IMAGE, OBEDIENT } from '../engines/image.ts';
import { Services } from '../engines/services.ts';
import { ShoalEngine } from '../engines/shoal-engine.ts';
import { dockerCli } from '../peers/docker-cli.ts';
import { DOCKERD } from '../peers/dockerd.ts';
import type { Programs } from '../peers/peer.ts';
import { untilQuiet } from '../quiet.ts';
import type { Bench, Sample } from '../subject.ts';

const NAME = 'bench';
/** How often the engines are asked: for one task closely, for many so that the asking does not weigh. */
const POLL_MS = { one: 10, many: 50 } as const;
/** Between what made containers and what removes them: both engines may finish what they do afterwards. */
const SETTLE_MS = 5_000;
const CLI_CALLS = 3;

/** Services on a swarm of one node each, Shoal and Docker, on this machine. */
export const bench: Bench = {
  about: 'services on a swarm of one node, beside Docker Swarm',
  peer: DOCKERD,
  figures: [
    figure('create-1-vs-swarm', 'service create, until its task is running', 0.5),
    figure('create-100-vs-swarm', 'service create with 100 replicas, until 100 tasks are running', 0.3),
    figure('scale-10-50-vs-swarm', 'service scale from 10 to 50, until 50 tasks are running', 0.3),
    figure('rm-1-vs-swarm', 'service rm of 1 replica, until its container is gone'),
    figure('rm-100-vs-swarm', 'service rm of 100 replicas, until all containers are gone', 0.5),
    figure('create-cli-vs-swarm', 'docker service create --detach, the program from start to end'),
  ],
  slices: ['service-1', 'service-100', 'scale-10-50', 'cli'],
  warmUp: 'service-1',
  sliceMsMax: 180_000,
  runs: 5,
  async subjects(programs) {
    const slices = slicesOf(programs);
    return {
      ours: new EngineSubject(new ShoalEngine(), slices),
      theirs: new EngineSubject(new DockerEngine(programs), slices),
    };
  },
};

function figure(name: string, meaning: string, goal?: number): Bench['figures'][number] {
  return { name, meaning, unit: 'ms', ...(goal === undefined ? {} : { goal }) };
}

function slicesOf(programs: Programs): Record<string, Slice> {
  return {
    'service-1': (socket, signal) => lifeOf(1, new Services(socket, { pollMs: POLL_MS.one, signal }), signal),
    'service-100': (socket, signal) =>
      lifeOf(100, new Services(socket, { pollMs: POLL_MS.many, signal }), signal),
    'scale-10-50': (socket, signal) => scaling(new Services(socket, { pollMs: POLL_MS.many, signal })),
    cli: (socket, signal) =>
      creations(dockerCli(programs), socket, new Services(socket, { pollMs: POLL_MS.one, signal })),
  };
}

async function lifeOf(replicas: number, services: Services, signal: AbortSignal): Promise<Sample[]> {
  const created = await services.create(NAME, replicas);
  await untilQuiet(SETTLE_MS, signal);
  const removed = await services.remove(NAME);
  return [
    { figure: `create-${replicas}-vs-swarm`, value: created },
    { figure: `rm-${replicas}-vs-swarm`, value: removed },
  ];
}

async function scaling(services: Services): Promise<Sample[]> {
  await services.create(NAME, 10);
  const scaled = await services.scale(NAME, 50);
  await services.remove(NAME);
  return [{ figure: 'scale-10-50-vs-swarm', value: scaled }];
}

async function creations(cli: string, socket: string, services: Services): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let call = 0; call < CLI_CALLS; call++) {
    const startedAtMs = performance.now();
    await createByCli(cli, socket);
    samples.push({ figure: 'create-cli-vs-swarm', value: performance.now() - startedAtMs });
    await services.running(NAME, 1);
    await services.remove(NAME);
  }
  return samples;
}

async function createByCli(cli: string, socket: string): Promise<void> {
  const words = ['service', 'create', '--detach', '--no-resolve-image', '--name', NAME, IMAGE, ...OBEDIENT];
  await promisify(execFile)(cli, ['--host', `unix://${socket}`, ...words]);
}
