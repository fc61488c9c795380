import { applyChange, type Failure, isLasting, netnsPath } from './apply.ts';
import type { NetMachine, NetnsPath } from './net-machine.ts';
import { difference, type Found } from './plan/change.ts';
import { type NamespaceId, NODE_NAMESPACE } from './plan/fragment.ts';
import type { Item } from './plan/items.ts';
import { type KernelText, readNode, readRouter } from './plan/kernel.ts';
import type { InstanceNames } from './plan/names.ts';
import { makePlan, type Plan, type PlanInput } from './plan/plan.ts';

export interface DataPlaneOpts {
  readonly names: InstanceNames;
  readonly netnsDir: string;
}

/**
 * Keeps the kernel at the plan. What was done is remembered as the plan it was done for; after a failure, and at the
 * start, a namespace is read instead, and compared as it is.
 */
export class DataPlane {
  readonly #opts: DataPlaneOpts;
  readonly #machine: NetMachine;
  #plan: Plan | undefined;
  /** Namespaces of which nobody knows what they hold. */
  #unknown = new Set<NamespaceId>();
  /** At the start: containers' namespaces are as they were made, if their links are there. */
  #adopting = false;

  constructor(opts: DataPlaneOpts, machine: NetMachine) {
    this.#opts = opts;
    this.#machine = machine;
  }

  /** What the kernel was last brought to. */
  get plan(): Plan | undefined {
    return this.#plan;
  }

  /** Takes what is there for a start: whatever the next plan does not want goes. */
  adopt(): void {
    this.#adopting = true;
    this.#unknown = new Set([NODE_NAMESPACE, ...this.#machine.namespaceFiles(this.#opts.netnsDir)]);
  }

  /** Brings the kernel to the plan for these inputs; what failed is tried anew by the next call. Never concurrently. */
  async apply(input: PlanInput): Promise<readonly Failure[]> {
    const plan = makePlan(input, this.#plan);
    const found = await this.#read(plan);
    const before = this.#plan?.fragments ?? new Map();
    const change = difference(before, plan.fragments, found, this.#opts.names.table);
    const failures = await applyChange(this.#opts, this.#machine, change);
    this.#plan = plan;
    this.#adopting = false;
    this.#unknown = new Set(failures.map((failure) => failure.namespace));
    return failures;
  }

  async #read(plan: Plan): Promise<Found> {
    const found = new Map<NamespaceId, readonly Item[] | 'absent'>();
    const lasting = [...this.#unknown].filter(isLasting);
    for (const id of lasting) found.set(id, await this.#readOne(id));
    for (const id of this.#unknown) if (!found.has(id)) found.set(id, this.#containerAsFound(plan, id));
    for (const id of cutOff(plan, found)) {
      const there = this.#machine.isNamespace(netnsPath(this.#opts, id) as string);
      found.set(id, there ? [] : 'absent');
    }
    return found;
  }

  async #readOne(id: NamespaceId): Promise<readonly Item[] | 'absent'> {
    const path = netnsPath(this.#opts, id);
    if (path !== undefined && !this.#machine.isNamespace(path)) return 'absent';
    const text = await this.#texts(path);
    return path === undefined ? readNode(text, this.#opts.names) : readRouter(text);
  }

  async #texts(path: NetnsPath): Promise<KernelText> {
    const ask = (...argv: [string, ...string[]]): Promise<string> => this.#machine.commands.query(path, argv);
    const [links, addresses, routes, neighbours, forwarding, rules] = await Promise.all([
      ask('ip', '-j', '-d', 'link', 'show'),
      ask('ip', '-j', 'addr', 'show'),
      ask('ip', '-j', '-4', 'route', 'show', 'table', 'all'),
      ask('ip', '-j', '-4', 'neigh', 'show', 'nud', 'permanent'),
      ask('bridge', '-j', 'fdb', 'show'),
      path === undefined ? ask('ip', '-j', '-4', 'rule', 'show') : '',
    ]);
    return { links, addresses, routes, neighbours, forwarding, rules };
  }

  #containerAsFound(plan: Plan, id: NamespaceId): readonly Item[] | 'absent' {
    if (!this.#machine.isNamespace(netnsPath(this.#opts, id) as string)) return 'absent';
    if (!this.#adopting) return [];
    return [...plan.fragments.values()].flatMap((fragment) => fragment.get(id)?.items ?? []);
  }
}

/** Containers one of whose links is not there: with it went what the container had on its end. */
function cutOff(plan: Plan, found: Found): NamespaceId[] {
  const cut: NamespaceId[] = [];
  for (const [cause, fragment] of plan.fragments) {
    if (!cause.startsWith('sandbox:')) continue;
    for (const [id, part] of fragment) {
      const items = found.get(id);
      if (items === undefined) continue;
      const there = new Set(items === 'absent' ? [] : items.map((item) => item.key));
      const links = part.items.filter((item) => item.fixed === 'veth');
      if (links.some((item) => !there.has(item.key))) cut.push(cause.slice('sandbox:'.length));
    }
  }
  return cut;
}
