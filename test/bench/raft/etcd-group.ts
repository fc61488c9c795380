import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { goFirst } from './go-first.ts';
import type { Group } from './group.ts';

const MEMBERS = 3;
const LEADER_MS_MAX = 20_000;
const POLL_MS = 20;
const STATUS_MS_MAX = 500;

interface Member {
  readonly clientPort: number;
  readonly peerPort: number;
  child: ChildProcess | undefined;
}

/** Three members of etcd with its default settings, without TLS. */
export class EtcdGroup implements Group {
  readonly #program: string;
  readonly #directory: string;
  #members: Member[] = [];

  constructor(program: string, directory: string) {
    this.#program = program;
    this.#directory = directory;
  }

  async start(): Promise<void> {
    for (let number = 0; number < MEMBERS; number++)
      this.#members.push({ clientPort: await freePort(), peerPort: await freePort(), child: undefined });
    await Promise.all(this.#members.map((_, member) => this.revive(member)));
    await this.leader();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.map((_, member) => this.kill(member)));
    this.#members = [];
    await rm(this.#directory, { recursive: true, force: true });
  }

  async leader(): Promise<number> {
    const giveUp = AbortSignal.timeout(LEADER_MS_MAX);
    for (;;) {
      const at = (await Promise.all(this.#members.map(statusOf))).findIndex(isLeader);
      if (at !== -1) return at;
      await sleep(POLL_MS, undefined, { signal: giveUp });
    }
  }

  clientPort(member: number): number {
    return this.#member(member).clientPort;
  }

  async kill(at: number): Promise<void> {
    const member = this.#member(at);
    const { child } = member;
    member.child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  signal(member: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#member(member).child?.kill(signal);
  }

  async revive(at: number): Promise<void> {
    const member = this.#member(at);
    const child = spawn(this.#program, this.#argumentsOf(at, member), { stdio: 'ignore', detached: true });
    member.child = child;
    await once(child, 'spawn');
    goFirst(child.pid as number);
  }

  async isCaughtUp(member: number): Promise<boolean> {
    const all = await Promise.all(this.#members.map(statusOf));
    const [own, leader] = [all[member], all.find(isLeader)];
    return leader !== undefined && own?.raftAppliedIndex === leader.raftIndex && own.leader === leader.leader;
  }

  #argumentsOf(at: number, { clientPort, peerPort }: Member): string[] {
    const [client, peer] = [`http://127.0.0.1:${clientPort}`, `http://127.0.0.1:${peerPort}`];
    const cluster = this.#members.map((other, number) => `m${number}=http://127.0.0.1:${other.peerPort}`);
    const named: Record<string, string> = {
      name: `m${at}`,
      'data-dir': join(this.#directory, `m${at}`),
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': cluster.join(','),
      'log-level': 'error',
      logger: 'zap',
    };
    return Object.entries(named).flatMap(([name, value]) => [`--${name}`, value]);
  }

  #member(at: number): Member {
    return this.#members[at] as Member;
  }
}

interface Status {
  readonly header: { readonly member_id: string };
  readonly leader?: string;
  readonly raftIndex: string;
  readonly raftAppliedIndex: string;
}

/** What a member says of itself, if it answers. */
async function statusOf({ clientPort, child }: Member): Promise<Status | undefined> {
  if (child === undefined) return undefined;
  try {
    const answer = await fetch(`http://127.0.0.1:${clientPort}/v3/maintenance/status`, {
      method: 'POST',
      body: '{}',
      signal: AbortSignal.timeout(STATUS_MS_MAX),
    });
    return (await answer.json()) as Status;
  } catch {
    return undefined;
  }
}

function isLeader(status: Status | undefined): boolean {
  return status !== undefined && status.leader === status.header.member_id;
}
