import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineClient } from '#deploy/cli/engine-client.ts';
import { addNode, bridgeName, closeLan, namespaceOf, openLan, removeNode } from '#deploy/local/lan.ts';
import { run } from '#deploy/local/run.ts';
import { enterControlGroup } from './accounting.ts';
import { API_VERSION, type Engine } from './engine.ts';
import { endProcesses, removeControlGroup, unmountBelow } from './leftovers.ts';

/** Part of the names of all it makes. */
const CLUSTER = 'benchc';
const NODE = 'c1';
const FOLDER = '/var/lib/shoal/bench-container';
const SHOALD = join(import.meta.dirname, '../../../deploy/bin/shoald');
const STOP_MS_MAX = 20_000;
const POLL_MS = 20;

/** One daemon that is in no swarm, with a network namespace, folders, a socket and a control group of its own. */
export class ShoalAlone implements Engine {
  readonly name = 'shoal';
  readonly folder = FOLDER;
  readonly socket = join(FOLDER, 'docker.sock');
  /** Of its network. */
  readonly namespace = namespaceOf(CLUSTER, NODE);
  /** All that the daemon starts is in it, so that what it costs can be read there. */
  readonly controlGroup = 'shoal-benchc';
  #daemon: ChildProcess | undefined;

  async start(signal: AbortSignal): Promise<void> {
    await this.stop();
    await mkdir(FOLDER, { recursive: true });
    await addNode(await openLan(CLUSTER), CLUSTER, NODE, 1);
    await using log = await open(join(FOLDER, 'log'), 'a');
    const daemon = spawn('nsenter', this.#command(), { stdio: ['ignore', log.fd, log.fd], detached: true });
    this.#daemon = daemon;
    await this.#answers(daemon, signal);
    if (daemon.pid !== undefined) await enterControlGroup(join(this.controlGroup, 'daemon'), daemon.pid);
  }

  /** What crun was told of a container that runs. */
  async configOf(id: string): Promise<object> {
    return JSON.parse(await readFile(join(FOLDER, 'run/engine/c', id, 'config.json'), 'utf8')) as object;
  }

  /** The runtime's program where it can't be written to, as the daemon runs it. */
  get crun(): string {
    return join(FOLDER, 'run/engine/crun.bin');
  }

  #command(...more: string[]): string[] {
    return [
      ...[`--net=/run/netns/${namespaceOf(CLUSTER, NODE)}`, SHOALD, ...more],
      ...['--data-root', join(FOLDER, 'data'), '--exec-root', join(FOLDER, 'run')],
      ...['--pidfile', join(FOLDER, 'pid'), '-H', `unix://${this.socket}`],
      ...['--cgroup-parent', `/${this.controlGroup}`],
    ];
  }

  async #answers(daemon: ChildProcess, signal: AbortSignal): Promise<void> {
    const client = new EngineClient(`unix://${this.socket}`, API_VERSION);
    while (daemon.exitCode === null && daemon.signalCode === null) {
      const answered = await client.call('GET', '/version', { signal }).catch(() => undefined);
      if (answered !== undefined) return;
      await sleep(POLL_MS, undefined, { signal });
    }
    const log = await readFile(join(FOLDER, 'log'), 'utf8');
    throw new Error(`shoald did not start:\n${log.split('\n').slice(-10).join('\n')}`);
  }

  async stop(): Promise<void> {
    await this.#stopDaemon();
    await endProcesses(FOLDER, this.controlGroup);
    await this.#removeEverything();
    await unmountBelow(FOLDER);
    removeControlGroup(this.controlGroup);
    await removeNode({ bridge: bridgeName(CLUSTER), prefix: '' }, CLUSTER, NODE, 1);
    await closeLan({ bridge: bridgeName(CLUSTER) });
    await rm(FOLDER, { recursive: true, force: true });
  }

  async #stopDaemon(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    daemon.kill('SIGTERM');
    const timer = setTimeout(() => daemon.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    clearTimeout(timer);
  }

  /** Only where a daemon was: the program takes its network, containers and mounts away. */
  async #removeEverything(): Promise<void> {
    if (this.#daemon === undefined) return;
    await run(['nsenter', ...this.#command('--remove-everything')]);
    this.#daemon = undefined;
  }
}
