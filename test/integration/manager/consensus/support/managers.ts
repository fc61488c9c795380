import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Leadership, Member } from '#manager/consensus/consensus.ts';
import type { StartOpts } from '#manager/consensus/opts.ts';
import { type TestCa, type TestNode, testCa } from '#test/support/certificates.ts';
import { freePort } from '#test/support/free-port.ts';
import type { Command } from './manager-process.ts';

/** One manager: its name, its state directory and its certificate outlive its processes. */
export class ManagerProcess {
  readonly stateDir: string;
  readonly node: TestNode;
  readonly port: number;
  readonly acked: string[] = [];
  leadership: Leadership = { term: 0, leading: false };
  members: readonly Member[] = [];
  failure: string | undefined;
  #child: ChildProcess | undefined;
  #changed = Promise.withResolvers<void>();
  readonly #answers = new Map<string, (value: never) => void>();

  constructor(stateDir: string, node: TestNode, port: number) {
    this.stateDir = stateDir;
    this.node = node;
    this.port = port;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  get addresses() {
    const addr = `127.0.0.1:${this.port}`;
    return { nodeId: this.node.nodeId, raftAddr: addr, controlAddr: addr };
  }

  async start(start: StartOpts, limits = {}): Promise<void> {
    const child = fork(join(import.meta.dirname, 'manager-process.ts'), {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    this.#child = child;
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => this.#read(line));
    const listen = { host: '127.0.0.1', port: this.port };
    const opts = { stateDir: this.stateDir, self: this.addresses, listen, start, limits };
    this.tell({ do: 'start', opts, identity: this.node.identity.current() });
    this.members = [];
    await this.until(() => this.members.length > 0 || start.kind !== 'bootstrap');
  }

  tell(command: Command): void {
    this.#child?.send(command);
  }

  /** Tells it something, and waits for what it says in return; rejects when it says that this failed. */
  ask<T>(command: Command, answer: string): Promise<T> {
    const failure = `${command.do}-error`;
    return new Promise<T>((resolve, reject) => {
      this.#answers.set(answer, resolve as (value: never) => void);
      this.#answers.set(failure, (message: string) => reject(new Error(message)));
      this.tell(command);
    }).finally(() => {
      this.#answers.delete(answer);
      this.#answers.delete(failure);
    });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    this.leadership = { term: 0, leading: false };
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }

  /** Waits until what it says makes something true. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.failure !== undefined) throw new Error(this.failure);
      await this.#changed.promise;
    }
  }

  #read(line: string): void {
    const space = line.indexOf(' ');
    const what = line.slice(0, space);
    const value = JSON.parse(line.slice(space + 1));
    if (what === 'acked') this.acked.push(value);
    if (what === 'leadership' && this.#child !== undefined) this.leadership = value;
    if (what === 'members') this.members = value;
    if (what === 'failed') this.failure = value;
    this.#answers.get(what)?.(value as never);
    const changed = this.#changed;
    this.#changed = Promise.withResolvers<void>();
    changed.resolve();
  }
}

/** Managers as processes of their own, in a directory that goes with them. */
export class Managers implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'shoal-consensus-kill-'));
  readonly #ca: TestCa;
  readonly all: ManagerProcess[] = [];

  private constructor(ca: TestCa) {
    this.#ca = ca;
  }

  static async open(): Promise<Managers> {
    return new Managers(await testCa());
  }

  async add(): Promise<ManagerProcess> {
    const stateDir = join(this.#directory, `m${this.all.length + 1}`);
    const manager = new ManagerProcess(stateDir, await this.#ca.node('manager'), await freePort());
    this.all.push(manager);
    return manager;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((manager) => manager.kill()));
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
