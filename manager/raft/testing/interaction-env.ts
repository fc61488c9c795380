import {
  type Config,
  LOCAL_APPEND,
  LOCAL_APPLY,
  type Message,
  type MessageType,
  type PeerId,
  RaftError,
  type Snapshot,
  type TraceEvent,
  traceLevel,
} from '../src/index.ts';
import { COMMANDS } from './commands.ts';
import { describeMessage, describeReady, indent } from './describe.ts';
import { describeTrace } from './describe-trace.ts';
import type { ScriptCase } from './script.ts';
import { ScriptNode } from './script-node.ts';

const LEVELS = ['debug', 'info', 'warn', 'error', 'none'] as const;
/** What is printed: events from this level on; with `none` nothing at all. */
export type OutputLevel = (typeof LEVELS)[number];

/** Which messages: those to a member, dropped instead of delivered perhaps. */
export interface Delivery {
  readonly to: PeerId;
  readonly drop: boolean;
  readonly type?: MessageType;
}

/**
 * A group whose members, network and disks move only as a script says, and which prints all that happens: the commands
 * are in commands.ts.
 */
export class InteractionEnv {
  readonly nodes: ScriptNode[] = [];
  /** Under way, in the order sent. */
  messages: Message[] = [];
  level: OutputLevel = 'debug';
  #lines: string[] = [];

  /** Runs one command; what it prints. */
  handle(script: ScriptCase): string {
    this.#lines = [];
    const command = COMMANDS[script.command];
    if (command === undefined) throw new Error(`line ${script.line}: no command ${script.command}`);
    try {
      command(this, script);
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      this.print([error.message]);
    }
    return this.#lines.length === 0 ? 'ok' : this.#lines.join('\n');
  }

  print(lines: readonly string[]): void {
    if (this.level !== 'none') this.#lines.push(...lines);
  }

  /** Prints a headline, and indents what `inner` prints. */
  section(headline: string, inner: () => void): void {
    this.print([headline]);
    const outer = this.#lines;
    this.#lines = [];
    try {
      inner();
    } finally {
      outer.push(...indent(this.#lines));
      this.#lines = outer;
    }
  }

  /** With another level for a while. */
  quietly(level: OutputLevel, inner: () => void): void {
    const before = this.level;
    this.level = level;
    try {
      inner();
    } finally {
      this.level = before;
    }
  }

  node(id: PeerId): ScriptNode {
    const node = this.nodes[id - 1];
    if (node === undefined) throw new Error(`no member ${id}`);
    return node;
  }

  /** Another member, numbered on. */
  addNode(opts: Omit<Config, 'id' | 'storage' | 'random' | 'trace'>, initial: Snapshot | undefined): void {
    const id = this.nodes.length + 1;
    const trace = (event: TraceEvent): void => this.#trace(id, event);
    this.nodes.push(new ScriptNode({ ...opts, id, random: () => 0, trace }, initial));
  }

  #trace(id: PeerId, event: TraceEvent): void {
    if (event.kind === 'message-from-stranger') {
      // To the scripts this is a failure of the delivery, so it has no level.
      this.print(['raft: cannot step as peer not found']);
      return;
    }
    const level = traceLevel(event.kind);
    if (LEVELS.indexOf(level) < LEVELS.indexOf(this.level)) return;
    this.print(describeTrace(id, event).map((line) => `${level.toUpperCase()} ${line}`));
  }

  processReady(id: PeerId): void {
    const member = this.node(id);
    const ready = member.node.ready();
    this.print(describeReady(ready));
    if (member.config.asyncStorageWrites !== true) member.carryOut(ready);
    for (const message of ready.messages) {
      if (message.to === LOCAL_APPEND) member.appends.push(message);
      else if (message.to === LOCAL_APPLY) member.applies.push(message);
      else this.messages.push(message);
    }
  }

  /** The oldest write, and what may be said after it. */
  processAppend(id: PeerId): void {
    const member = this.node(id);
    const work = member.appends.shift();
    if (work !== undefined) this.#processing(work, () => member.writeOrder(work));
  }

  /** The oldest batch to apply. */
  processApply(id: PeerId): void {
    const member = this.node(id);
    const work = member.applies.shift();
    if (work !== undefined) this.#processing(work, () => member.apply(work.entries ?? []));
  }

  #processing(work: Message, carryOut: () => void): void {
    const { responses = [], ...order } = work;
    this.print(['Processing:', ...describeMessage(order)]);
    carryOut();
    this.print(['Responses:', ...responses.flatMap(describeMessage)]);
    this.messages.push(...responses);
  }

  hasMessages(to: PeerId): boolean {
    return this.messages.some((message) => message.to === to);
  }

  /** How many messages were delivered or dropped. */
  deliver({ to, drop, type }: Delivery): number {
    const isMeant = (message: Message): boolean =>
      message.to === to && (type === undefined || message.type === type) && !(drop && isLocal(message));
    const meant = this.messages.filter(isMeant);
    this.messages = this.messages.filter((message) => !isMeant(message));
    for (const message of meant) {
      const lines = describeMessage(message);
      this.print(drop ? [`dropped: ${lines[0]}`, ...lines.slice(1)] : lines);
      if (!drop) this.node(to).node.step(message);
    }
    return meant.length;
  }
}

/** From a member's own threads: never lost. */
function isLocal(message: Message): boolean {
  return message.from === message.to || message.from === LOCAL_APPEND || message.from === LOCAL_APPLY;
}
