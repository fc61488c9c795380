import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineClient } from '#deploy/cli/engine-client.ts';
import {
  addNode,
  bridgeName,
  closeLan,
  namespaceOf,
  nodeAddress,
  openLan,
  removeNode,
} from '#deploy/local/lan.ts';
import type { Programs } from '../peers/peer.ts';
import { API_VERSION, type Engine } from './engine.ts';
import { endProcesses, removeControlGroup, unmountBelow } from './leftovers.ts';

/** Part of the names of all it makes. */
const CLUSTER = 'benchd';
const NODE = 'd1';
const FOLDER = '/var/lib/shoal/bench-dockerd';
const CONTROL_GROUP = 'shoal-benchd';
const STOP_MS_MAX = 20_000;
const POLL_MS = 20;
const REMOVED_AT_ONCE = 8;

/**
 * Docker's own daemon, by hand and alone: its network namespace, folders, socket and control group are its own, and
 * its containers are nobody else's. Told to prefer the image it has, which is Swarm at its best.
 */
export class DockerEngine implements Engine {
  readonly name = 'dockerd';
  readonly socket = join(FOLDER, 'docker.sock');
  /** Of its network. */
  readonly namespace = namespaceOf(CLUSTER, NODE);
  readonly #programs: Programs;
  readonly #swarm: boolean;
  readonly #client = new EngineClient(`unix://${join(FOLDER, 'docker.sock')}`, API_VERSION);
  #daemon: ChildProcess | undefined;

  /** A swarm of one node, or no swarm at all. */
  constructor(programs: Programs, opts: { readonly swarm: boolean } = { swarm: true }) {
    this.#programs = programs;
    this.#swarm = opts.swarm;
  }

  get folder(): string {
    return FOLDER;
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.stop();
    await mkdir(FOLDER, { recursive: true });
    const lan = await openLan(CLUSTER);
    await addNode(lan, CLUSTER, NODE, 1);
    this.#daemon = await this.#spawn();
    await this.#answers(this.#daemon, signal);
    if (!this.#swarm) return;
    await this.#client.call('POST', '/swarm/init', {
      body: { ListenAddr: '0.0.0.0:2377', AdvertiseAddr: nodeAddress(lan, 1), Spec: {} },
      signal,
    });
  }

  async #spawn(): Promise<ChildProcess> {
    await using log = await open(join(FOLDER, 'log'), 'a');
    const command = [this.#programs.path('dockerd'), ...this.#flags()];
    return spawn('nsenter', [`--net=/run/netns/${namespaceOf(CLUSTER, NODE)}`, ...command], {
      stdio: ['ignore', log.fd, log.fd],
      detached: true,
      env: { ...process.env, PATH: this.#programs.searchPath, DOCKER_SERVICE_PREFER_OFFLINE_IMAGE: '1' },
    });
  }

  #flags(): string[] {
    return [
      ...['--data-root', join(FOLDER, 'data'), '--exec-root', join(FOLDER, 'exec')],
      ...['--pidfile', join(FOLDER, 'pid'), '-H', `unix://${this.socket}`],
      ...['--cgroup-parent', `/${CONTROL_GROUP}`],
    ];
  }

  async #answers(daemon: ChildProcess, signal: AbortSignal): Promise<void> {
    while (daemon.exitCode === null && daemon.signalCode === null) {
      const answered = await this.#client.call('GET', '/version', { signal }).catch(() => undefined);
      if (answered !== undefined) return;
      await sleep(POLL_MS, undefined, { signal });
    }
    const log = await readFile(join(FOLDER, 'log'), 'utf8');
    throw new Error(`dockerd did not start:\n${log.split('\n').slice(-10).join('\n')}`);
  }

  async stop(): Promise<void> {
    await this.#removeContainers().catch(() => undefined);
    await this.#stopDaemon();
    await endProcesses(join(FOLDER, 'exec'), CONTROL_GROUP);
    await unmountBelow(FOLDER);
    removeControlGroup(CONTROL_GROUP);
    await removeNode({ bridge: bridgeName(CLUSTER), prefix: '' }, CLUSTER, NODE, 1);
    await closeLan({ bridge: bridgeName(CLUSTER) });
    await rm(FOLDER, { recursive: true, force: true });
  }

  /** First, or the daemon would wait ten seconds for each that ignores its signal. */
  async #removeContainers(): Promise<void> {
    const signal = AbortSignal.timeout(STOP_MS_MAX);
    if (this.#swarm) await this.#client.call('POST', '/swarm/leave', { query: { force: '1' }, signal });
    const query = { all: '1' };
    const left = await this.#client.call<{ Id: string }[]>('GET', '/containers/json', { query, signal });
    while (left.length > 0) {
      const some = left.splice(0, REMOVED_AT_ONCE);
      const force = { query: { force: '1' }, signal };
      await Promise.all(some.map(({ Id: id }) => this.#client.call('DELETE', `/containers/${id}`, force)));
    }
  }

  /** One of an earlier run that was cut off is known by its pid file only; endProcesses() looks for that. */
  async #stopDaemon(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    daemon.kill('SIGTERM');
    const timer = setTimeout(() => daemon.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    clearTimeout(timer);
    this.#daemon = undefined;
  }
}
