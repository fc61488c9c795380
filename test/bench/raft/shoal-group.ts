import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { StartOpts } from '#manager/consensus/opts.ts';
import { type TestCa, type TestNode, testCa } from '#test/support/certificates.ts';
import { freePort } from './free-port.ts';
import type { Group } from './group.ts';
import type { FromMember, Load, MachineKind, ToMember } from './member-protocol.ts';

const MEMBERS = 3;
const SETTLE_MS_MAX = 20_000;

/** Three members of Shoal's Raft, each a process of its own. */
export class ShoalGroup implements Group {
  readonly #directory: string;
  readonly #machine: MachineKind;
  #members: Member[] = [];

  constructor(directory: string, machine: MachineKind) {
    this.#directory = directory;
    this.#machine = machine;
  }

  async start(): Promise<void> {
    const ca = await testCa();
    for (let number = 0; number < MEMBERS; number++) this.#members.push(await this.#prepare(number, ca));
    const [first, ...others] = this.#members as [Member, ...Member[]];
    await first.start({ kind: 'bootstrap' });
    await first.until(() => first.leading);
    for (const other of others) {
      const { raftId, members } = await first.ask({ do: 'add', member: other.addresses }, 'added');
      await other.start({ kind: 'join', raftId, members });
    }
    await first.until(() => first.voters === MEMBERS);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.kill()));
    this.#members = [];
    await rm(this.#directory, { recursive: true, force: true });
  }

  async leader(): Promise<number> {
    const giveUp = AbortSignal.timeout(SETTLE_MS_MAX);
    for (;;) {
      const leading = [...this.#members.keys()].filter((at) => this.#member(at).leading);
      if (leading.length === 1) return leading[0] as number;
      await Promise.race([...this.#members.map((member) => member.change), aborted(giveUp)]);
    }
  }

  clientPort(at: number): number {
    return this.#member(at).clientPort;
  }

  async kill(at: number): Promise<void> {
    await this.#member(at).kill();
  }

  signal(at: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#member(at).signal(signal);
  }

  async revive(at: number): Promise<void> {
    await this.#member(at).start({ kind: 'restart' });
  }

  async isCaughtUp(at: number): Promise<boolean> {
    const own = await this.#member(at).ask({ do: 'status' }, 'status');
    const leader = await this.#member(await this.leader()).ask({ do: 'status' }, 'status');
    return own.appliedIndex >= leader.commitIndex && leader.commitIndex > 0;
  }

  /** The leader's term. */
  async term(): Promise<number> {
    return (await this.#member(await this.leader()).ask({ do: 'status' }, 'status')).term;
  }

  /** Writers within the leader's own process. */
  async load(writers: number, bytes: number, ms: number): Promise<Load> {
    const leader = this.#member(await this.leader());
    return (await leader.ask({ do: 'load', writers, bytes, ms }, 'loaded')).load;
  }

  #member(at: number): Member {
    return this.#members[at] as Member;
  }

  async #prepare(number: number, ca: TestCa): Promise<Member> {
    const stateDir = join(this.#directory, `m${number + 1}`);
    const [raftPort, clientPort] = [await freePort(), await freePort()];
    return new Member({
      stateDir,
      node: await ca.node('manager'),
      raftPort,
      clientPort,
      machine: this.#machine,
    });
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

interface MemberOpts {
  readonly stateDir: string;
  readonly node: TestNode;
  readonly raftPort: number;
  readonly clientPort: number;
  readonly machine: MachineKind;
}

/** One member: its state, ports and certificate outlive its processes. */
class Member {
  readonly #opts: MemberOpts;
  leading = false;
  voters = 0;
  #child: ChildProcess | undefined;
  #changed = Promise.withResolvers<void>();
  #failure: string | undefined;
  readonly #answers = new Map<FromMember['say'], (said: never) => void>();

  constructor(opts: MemberOpts) {
    this.#opts = opts;
  }

  get clientPort(): number {
    return this.#opts.clientPort;
  }

  get addresses() {
    const addr = `127.0.0.1:${this.#opts.raftPort}`;
    return { nodeId: this.#opts.node.nodeId, raftAddr: addr, controlAddr: addr };
  }

  /** The next time that it says something. */
  get change(): Promise<void> {
    return this.#changed.promise;
  }

  async start(start: StartOpts): Promise<void> {
    const { stateDir, raftPort, clientPort, machine, node } = this.#opts;
    const child = fork(join(import.meta.dirname, 'member.ts'), {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      // A session of its own, as a manager has: the kernel shares the processor between sessions first.
      detached: true,
    });
    this.#child = child;
    child.on('message', (said: FromMember) => this.#heard(said));
    child.on('exit', () => {
      if (this.#child === child) this.#heard({ say: 'failed', message: 'its process ended' });
    });
    const listen = { host: '127.0.0.1', port: raftPort };
    const opts = { stateDir, self: this.addresses, listen, start };
    const identity = node.identity.current();
    await this.ask({ do: 'start', opts, identity, machine, clientPort }, 'started');
  }

  /** Tells it something, and waits for what it says in return. */
  async ask<Say extends FromMember['say']>(
    message: ToMember,
    say: Say,
  ): Promise<Extract<FromMember, { say: Say }>> {
    const answer = Promise.withResolvers<Extract<FromMember, { say: Say }>>();
    this.#answers.set(say, answer.resolve as (said: never) => void);
    this.#child?.send(message);
    let found: Extract<FromMember, { say: Say }> | undefined;
    void answer.promise.then((said) => {
      found = said;
    });
    await this.until(() => found !== undefined);
    return answer.promise;
  }

  /** Waits until what it says makes something true. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#failure !== undefined) throw new Error(`a member failed: ${this.#failure}`);
      await this.#changed.promise;
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.leading = false;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  #heard(said: FromMember): void {
    if (said.say === 'leads' && this.#child !== undefined)
      [this.leading, this.voters] = [said.leading, said.voters];
    if (said.say === 'failed') this.#failure = said.message;
    this.#answers.get(said.say)?.(said as never);
    this.#answers.delete(said.say);
    const changed = this.#changed;
    this.#changed = Promise.withResolvers<void>();
    queueMicrotask(changed.resolve);
  }
}
