import { join } from 'node:path';
import type { Log } from '#proto/base/log.ts';
import { type Random, randomInt } from '#proto/base/random.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { readJson, writeJson } from './files.ts';

export interface KnownManager {
  /** Absent for an address that was only given to join by. */
  readonly nodeId?: NodeId;
  /** host:port. */
  readonly addr: string;
}

export interface ManagersModules {
  readonly random: Random;
  readonly log: Log;
}

const FULL = 64;
const MANAGERS_MAX = 64;

/**
 * The managers this node may turn to, remembered on disk. Each has a weight, which a failure halves and a success
 * restores, so that a manager that is down is tried seldom and never forgotten.
 */
export class Managers {
  readonly #path: string;
  readonly #modules: ManagersModules;
  #known: readonly KnownManager[];
  readonly #weights = new Map<string, number>();
  /** Writes one after the other. */
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(path: string, modules: ManagersModules, known: readonly KnownManager[]) {
    this.#path = path;
    this.#modules = modules;
    this.#known = known;
  }

  /** Reads what the last daemon left in `dir`; a list that can't be read counts as none. */
  static async open(dir: string, modules: ManagersModules): Promise<Managers> {
    const path = join(dir, 'managers.json');
    const found = await readJson(path).catch((error: unknown) => {
      modules.log.warn("the list of managers can't be read", { err: error });
      return undefined;
    });
    return new Managers(path, modules, (found as readonly KnownManager[] | undefined) ?? []);
  }

  all(): readonly KnownManager[] {
    return this.#known;
  }

  /** Replaces the list, which is never replaced by an empty one. */
  async learn(managers: readonly KnownManager[]): Promise<void> {
    const next = managers
      .slice(0, MANAGERS_MAX)
      .map(({ nodeId, addr }) => ({ ...(nodeId && { nodeId }), addr }));
    if (next.length === 0 || JSON.stringify(next) === JSON.stringify(this.#known)) return;
    this.#known = next;
    const addrs = new Set(next.map(({ addr }) => addr));
    for (const addr of [...this.#weights.keys()]) if (!addrs.has(addr)) this.#weights.delete(addr);
    const written = this.#writing.then(() => writeJson(this.#path, next));
    this.#writing = written.catch(() => undefined);
    await written;
  }

  /** Adds managers that are known from elsewhere to those that are remembered. */
  async learnMore(managers: readonly KnownManager[]): Promise<void> {
    const known = new Set(this.#known.map(({ addr }) => addr));
    const others = new Map(managers.map((manager) => [manager.addr, manager]));
    await this.learn([...this.#known, ...[...others.values()].filter(({ addr }) => !known.has(addr))]);
  }

  failed(addr: string): void {
    this.#weights.set(addr, Math.max(1, Math.floor(this.#weight(addr) / 2)));
  }

  succeeded(addr: string): void {
    this.#weights.delete(addr);
  }

  /** One to turn to, by weight; not `avoid`, the one just left, where there is another. */
  pick(avoid?: string): string | undefined {
    const others = this.#known.filter(({ addr }) => addr !== avoid);
    const choice = others.length > 0 ? others : this.#known;
    const total = choice.reduce((sum, { addr }) => sum + this.#weight(addr), 0);
    let left = randomInt(this.#modules.random, total);
    return choice.find(({ addr }) => {
      left -= this.#weight(addr);
      return left < 0;
    })?.addr;
  }

  #weight(addr: string): number {
    return this.#weights.get(addr) ?? FULL;
  }
}
