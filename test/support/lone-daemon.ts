import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { readCgroupLayout } from '#agent/core/linux/cgroup-layout.ts';
import { readMounts } from '#agent/core/linux/mounts.ts';
import { EngineClient } from '#deploy/cli/engine-client.ts';
import {
  addNode,
  bridgeName,
  closeLan,
  hostAddress,
  namespaceOf,
  nodeAddress,
  openLan,
  removeNode,
} from '#deploy/local/lan.ts';
import { run } from '#deploy/local/run.ts';
import {
  endProcesses,
  processesNaming,
  removeControlGroup,
  unmountBelow,
} from '../bench/engines/leftovers.ts';

const NODE = 'n1';
const SHOALD = join(import.meta.dirname, '../../deploy/bin/shoald');
const STOP_MS_MAX = 60_000;
const POLL_MS = 20;

/** A name for a daemon that two runs at the same moment do not share; `prefix`: up to three letters. */
export function ofThisProcess(prefix: string): string {
  return `${prefix}${process.pid.toString(36)}`;
}

/** One real daemon in no swarm, with a network namespace, folders, a socket and a control group of its own. */
export class LoneDaemon {
  readonly folder: string;
  readonly socket: string;
  /** Of its containers. */
  readonly controlGroup: string;
  readonly client: EngineClient;
  readonly #name: string;
  readonly #apiVersion: string;
  #flags: readonly string[] = [];
  #hostAddress: string | undefined;
  #address: string | undefined;
  #process: ChildProcess | undefined;

  /** `name`: at most 8 letters and digits, part of all that it makes. */
  constructor(name: string, apiVersion = '1.41') {
    this.#name = name;
    this.#apiVersion = apiVersion;
    this.folder = join('/var/lib/shoal', name);
    this.socket = join(this.folder, 'docker.sock');
    this.controlGroup = `shoal-${name}`;
    this.client = new EngineClient(`unix://${this.socket}`, apiVersion);
  }

  /** Of its network. */
  get namespace(): string {
    return namespaceOf(this.#name, NODE);
  }

  /** Where the daemon finds the test; while it is up. */
  get hostAddress(): string {
    if (this.#hostAddress === undefined) throw new Error('the daemon is not up');
    return this.#hostAddress;
  }

  /** Where the test finds the daemon, and what its containers publish; while it is up. */
  get address(): string {
    if (this.#address === undefined) throw new Error('the daemon is not up');
    return this.#address;
  }

  get pid(): number {
    if (this.#process?.pid === undefined) throw new Error('the daemon does not run');
    return this.#process.pid;
  }

  /** What an earlier run that was cut off left behind goes first. `flagsFor` gives more flags. */
  async up(signal: AbortSignal, flagsFor: (hostAddress: string) => string[] = () => []): Promise<void> {
    await this.down();
    await mkdir(this.folder, { recursive: true });
    const lan = await openLan(this.#name);
    await addNode(lan, this.#name, NODE, 1);
    this.#hostAddress = hostAddress(lan);
    this.#address = nodeAddress(lan, 1);
    this.#flags = flagsFor(this.#hostAddress);
    await this.start(signal);
  }

  /** The daemon, again, where `up` has put it; with other flags when they are given. */
  async start(signal: AbortSignal, flags = this.#flags): Promise<void> {
    this.#flags = flags;
    await using log = await open(join(this.folder, 'log'), 'a');
    const daemon = spawn('nsenter', this.#command(), { stdio: ['ignore', log.fd, log.fd], detached: true });
    this.#process = daemon;
    const client = new EngineClient(`unix://${this.socket}`, this.#apiVersion);
    while (daemon.exitCode === null && daemon.signalCode === null) {
      const answered = await client.call('GET', '/version', { signal }).catch(() => undefined);
      if (answered !== undefined) return;
      await sleep(POLL_MS, undefined, { signal });
    }
    throw new Error(`shoald did not start:\n${await this.logEnd()}`);
  }

  /** The last lines that it wrote to its log. */
  async logEnd(lines = 10): Promise<string> {
    return (await readFile(join(this.folder, 'log'), 'utf8')).trim().split('\n').slice(-lines).join('\n');
  }

  /** Ends it, and resolves when it is gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const daemon = this.#process;
    if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    daemon.kill(signal);
    const timer = setTimeout(() => daemon.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    clearTimeout(timer);
  }

  /** Takes everything away. Harmless when nothing is there. */
  async down(): Promise<void> {
    await this.end('SIGTERM');
    await endProcesses(this.folder, this.controlGroup);
    if (this.#process !== undefined) await run(['nsenter', ...this.#command('--remove-everything')]);
    this.#process = undefined;
    await unmountBelow(this.folder);
    removeControlGroup(this.controlGroup);
    await removeNode({ bridge: bridgeName(this.#name), prefix: '' }, this.#name, NODE, 1);
    await closeLan({ bridge: bridgeName(this.#name) });
    await rm(this.folder, { recursive: true, force: true });
  }

  /** All that it occupies of the machine, one thing a line: what containers leave behind is more of it. */
  async footprint(): Promise<string[]> {
    const mounts = readMounts().filter(({ target }) => target.startsWith(`${this.folder}/`));
    const groups = readCgroupLayout().roots.flatMap((root) => foldersIn(join(root, this.controlGroup)));
    const folders = [
      'data/containers',
      'data/volumes',
      'run/engine/c',
      'run/engine/exits',
      'run/engine/crun',
    ];
    const asked = [
      ['ip', '-json', 'link'],
      ['ip', 'neigh', 'show', 'nud', 'permanent'],
      ['ip', '-4', 'route', 'show', 'table', 'all'],
      ['nft', '-s', 'list', 'ruleset'],
    ];
    const [links, ...network] = await Promise.all(asked.map((command) => this.#inside(command)));
    const names = (JSON.parse(links ?? '[]') as { ifname: string }[]).map(({ ifname }) => `link ${ifname}`);
    return [
      ...mounts.map(({ target }) => `mount ${target}`),
      ...groups.map((group) => `control group ${group}`),
      ...folders.flatMap((name) => foldersIn(join(this.folder, name)).map((path) => `folder ${path}`)),
      ...foldersIn(join(this.folder, 'run/net')).map((path) => `network ${path}`),
      ...names,
      ...network.flatMap((text) => text.split('\n')),
      `${processesNaming(this.folder).length} processes`,
    ].sort();
  }

  async #inside(command: readonly string[]): Promise<string> {
    return (await promisify(execFile)('nsenter', [this.#netns, ...command])).stdout;
  }

  get #netns(): string {
    return `--net=/run/netns/${this.namespace}`;
  }

  #command(...more: string[]): string[] {
    return [
      ...[this.#netns, SHOALD, ...more, ...this.#flags],
      ...['--data-root', join(this.folder, 'data'), '--exec-root', join(this.folder, 'run')],
      ...['--pidfile', join(this.folder, 'pid'), '-H', `unix://${this.socket}`],
      ...['--cgroup-parent', `/${this.controlGroup}`],
    ];
  }
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() || entry.isFile())
      .filter((entry) => entry.isDirectory() || !folder.startsWith('/sys/'))
      .map(({ name }) => join(folder, name));
  } catch {
    return [];
  }
}
