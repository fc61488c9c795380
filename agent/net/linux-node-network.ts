import { backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import { messageOf, ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { NetworkState } from '#proto/types/assignments.ts';
import type { PortConfig } from '#proto/types/specs.ts';
import { inboundConnections, openSockets } from '../core/linux/procnet.ts';
import { type Failure, netnsPath } from './apply.ts';
import { Coalescer } from './coalescer.ts';
import { DataPlane } from './data-plane.ts';
import type { Resolver } from './dns/resolver.ts';
import { FactFinder } from './facts.ts';
import type { NetMachine } from './net-machine.ts';
import type {
  AttachmentInfo,
  AttachmentRequest,
  LocalNetwork,
  NodeNetwork,
  PortBinding,
  Sandbox,
  SandboxRequest,
} from './node-network.ts';
import { type ChoiceFacts, chooseSandbox, rewired } from './plan/choose.ts';
import { meetsSocket } from './plan/choose-ports.ts';
import { Directory } from './plan/directory.ts';
import { flowsTo, type Leaving, leaversOf } from './plan/leavers.ts';
import { bridgeDevice } from './plan/local.ts';
import type { InstanceNames } from './plan/names.ts';
import { meshAddressOf, RESOLVER } from './plan/sandbox.ts';
import type { AttachmentRecord, SandboxRecord } from './plan/sandbox-record.ts';
import { ParentDevices } from './vlan.ts';
import type { Wanted } from './wanted.ts';

export interface LinuxNodeNetworkOpts {
  readonly names: InstanceNames;
  readonly netnsDir: string;
  /** First and last of the ports that are chosen where none is asked for. */
  readonly dynamicPorts: readonly [number, number];
  /** Bridged frames do not pass the packet filter; another tool of the machine may need that they do. */
  readonly bridgeNetfilter: 'off' | 'leave';
}

export interface LinuxNodeNetworkModules {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly machine: NetMachine;
  readonly wanted: Wanted;
  /** Where this node's VXLAN packets come from; undefined while it is in no cluster. */
  readonly dataPathAddr: () => string | undefined;
  /** Done when everything of ours has stopped. */
  readonly atEnd?: () => Promise<void>;
}

const DNS_PORT = 53;
/** How often a state that was not reached is tried before its caller is told. */
const TRIES = 3;
const BACKOFF = { firstMs: 50, maxMs: 500 };

/** The network of this node, done by the kernel of this machine. */
export class LinuxNodeNetwork implements NodeNetwork {
  readonly #opts: LinuxNodeNetworkOpts;
  readonly #modules: LinuxNodeNetworkModules;
  readonly #wanted: Wanted;
  readonly #plane: DataPlane;
  readonly #facts: FactFinder;
  readonly #parents: ParentDevices;
  readonly #passes = new Coalescer(() => this.#pass());
  #resolver: Resolver | undefined;
  #resolverPort = DNS_PORT;
  #directory: Directory;
  /** The cluster's state that the kernel was last brought to. */
  #reached: NetworkState | undefined;
  #lastSlot = 0;
  #lastPort = 0;

  constructor(opts: LinuxNodeNetworkOpts, modules: LinuxNodeNetworkModules) {
    this.#opts = opts;
    this.#modules = modules;
    this.#wanted = modules.wanted;
    this.#reached = modules.wanted.cluster;
    this.#plane = new DataPlane(opts, modules.machine);
    this.#parents = new ParentDevices({ mark: opts.names.table }, modules.machine);
    const dataPathAddr = (): string | undefined => modules.dataPathAddr() ?? this.#wanted.dataPathAddr;
    this.#facts = new FactFinder(opts, { machine: modules.machine, dataPathAddr });
    this.#directory = new Directory({ groups: new Map(), sandboxes: new Map(), locals: new Map() });
  }

  /** Who is called what at this moment; for the resolver. */
  get directory(): Directory {
    return this.#directory;
  }

  /** Containers' questions are answered from now on, and this ends it with us. */
  answerWith(resolver: Resolver): void {
    this.#resolver = resolver;
    this.#resolverPort = resolver.port;
  }

  async recover(sandboxes: readonly Sandbox[]): Promise<void> {
    const { machine } = this.#modules;
    this.#wanted.keepOnly(sandboxes, (sandbox) => machine.isNamespace(sandbox.netnsPath));
    this.#plane.adopt();
    this.#report(await this.#passes.run());
  }

  async applyCluster(state: NetworkState | undefined): Promise<void> {
    this.#wanted.cluster = state;
    await this.#reach((failure) => !failure.causes.some(isLocal));
  }

  async createLocal(network: LocalNetwork): Promise<void> {
    if (network.macvlan) await this.#parents.need(network.macvlan.parent);
    this.#wanted.addLocal(network);
    if (network.driver !== 'bridge') return;
    if (this.#opts.bridgeNetfilter === 'off') this.#letBridgesBe();
    await this.#reach((failure) => failure.causes.includes(`local:${network.id}`));
  }

  async removeLocal(networkId: string): Promise<void> {
    const sandboxes = [...this.#wanted.sandboxes.values()];
    const on = sandboxes.filter((one) => one.attachments.some((at) => at.networkId === networkId));
    if (on.length > 0) throw hasEndpoints(this.#wanted.locals.get(networkId), networkId, on);
    const parent = this.#wanted.locals.get(networkId)?.macvlan?.parent;
    this.#wanted.removeLocal(networkId);
    await this.#reach((failure) => failure.causes.length === 0);
    const others = [...this.#wanted.locals.values()].map((network) => network.macvlan?.parent);
    if (parent !== undefined && !others.includes(parent)) await this.#parents.release(parent);
  }

  async openSandbox(request: SandboxRequest): Promise<Sandbox> {
    const record = chooseSandbox(request, this.#choiceFacts());
    this.#lastSlot = record.slot ?? this.#lastSlot;
    this.#lastPort = lastDynamic(request.ports, record.ports) ?? this.#lastPort;
    using _offered = this.#offered(request);
    try {
      await this.#bring(record);
    } catch (error) {
      await this.closeSandbox(record.containerId).catch((err: unknown) => this.#couldNotUndo(err));
      throw error;
    }
    return this.#describe(record);
  }

  #offered({ containerId, namespace }: SandboxRequest): Disposable | undefined {
    if (namespace === undefined) return undefined;
    const path = netnsPath(this.#opts, containerId) as string;
    return this.#modules.machine.offerNamespace(path, namespace);
  }

  async closeSandbox(containerId: string): Promise<void> {
    const record = this.#wanted.sandboxes.get(containerId);
    if (record === undefined) return;
    this.#wanted.removeSandbox(containerId);
    await this.#reach((failure) => failure.causes.length === 0);
    // Its address on a bridge is the next container's: what clients still send goes by what is published then.
    if (record.ports.some((port) => port.protocol === 'udp'))
      await this.#forget(this.#flowsOf(record, 'udp'));
  }

  async attach(containerId: string, attachment: AttachmentRequest): Promise<AttachmentInfo> {
    const before = this.#sandbox(containerId);
    const record = rewired(before, { add: attachment }, this.#choiceFacts());
    this.#lastSlot = record.slot ?? this.#lastSlot;
    try {
      await this.#bring(record);
    } catch (error) {
      await this.#bring(before).catch((err: unknown) => this.#couldNotUndo(err));
      throw error;
    }
    return infoOf(record.attachments.at(-1) as AttachmentRecord);
  }

  async detach(containerId: string, networkId: string): Promise<void> {
    const before = this.#sandbox(containerId);
    if (!before.attachments.some((on) => on.networkId === networkId))
      throw new ShoalError('FORBIDDEN', `container ${containerId} is not connected to network ${networkId}`);
    await this.#bring(rewired(before, { remove: networkId }, this.#choiceFacts()));
  }

  inboundConnections(_containerId: string, pid: number, ports: readonly PortConfig[]): number {
    const tcp = ports.filter((port) => port.protocol === 'tcp').map((port) => port.targetPort);
    return inboundConnections(pid, new Set(tcp));
  }

  listens(pid: number, ports: readonly PortConfig[]): boolean {
    return (['tcp', 'udp'] as const).every((protocol) => {
      const wanted = ports.filter((port) => port.protocol === protocol);
      if (wanted.length === 0) return true;
      const open = new Set(openSockets(pid, protocol).map((socket) => socket.port));
      return wanted.every((port) => open.has(port.targetPort));
    });
  }

  async forgetFlows(containerId: string, protocol: 'tcp' | 'udp'): Promise<void> {
    const record = this.#wanted.sandboxes.get(containerId);
    if (record !== undefined) await this.#forget(this.#flowsOf(record, protocol));
  }

  /** Containers, their links and all balancing stay as they are: the kernel needs no daemon. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resolver?.[Symbol.asyncDispose]();
    await this.#passes.idle();
    await this.#modules.machine[Symbol.asyncDispose]();
    await this.#modules.atEnd?.();
  }

  async #pass(): Promise<readonly Failure[]> {
    const { names } = this.#opts;
    const bridges = [...this.#wanted.locals.values()].map((network) => bridgeDevice(names, network));
    const facts = await this.#facts.find(this.#resolverPort, new Set(bridges));
    const input = this.#wanted.input(facts);
    await this.#wanted.saveCluster(input);
    const failures = await this.#plane.apply(input);
    const plan = this.#plane.plan;
    const { mesh } = plan?.context ?? {};
    this.#directory = new Directory({
      groups: plan?.groups.byService ?? new Map(),
      sandboxes: input.sandboxes,
      locals: input.locals,
      ...(mesh === undefined ? {} : { mesh }),
    });
    const before = this.#reached;
    this.#reached = input.cluster;
    if (plan !== undefined) await this.#forget(leaversOf(before, input.cluster, plan.context));
    return failures;
  }

  /** Passes until nothing of ours failed, or it was tried often enough. */
  async #reach(isOurs: (failure: Failure) => boolean): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const failures = await this.#passes.run();
      this.#report(failures);
      const ours = failures.filter(isOurs);
      if (ours.length === 0) return;
      if (attempt + 1 >= TRIES)
        throw new ShoalError('UNAVAILABLE', `the network of this node was not changed: ${ours[0]?.message}`);
      await this.#modules.clock.sleep(backoffMs(BACKOFF, attempt, this.#modules.random));
    }
  }

  /** Makes the sandbox be so, and remembers it. */
  async #bring(record: SandboxRecord): Promise<void> {
    this.#wanted.sandboxes.set(record.containerId, record);
    const causes = [
      `sandbox:${record.containerId}`,
      ...record.attachments.map((on) => `network:${on.networkId}`),
    ];
    await this.#reach((failure) => causes.some((cause) => failure.causes.includes(cause)));
    if (this.#wanted.sandboxes.get(record.containerId) === record) this.#wanted.saveSandbox(record);
  }

  #sandbox(containerId: string): SandboxRecord {
    const record = this.#wanted.sandboxes.get(containerId);
    if (record === undefined)
      throw new ShoalError('NOT_FOUND', `container ${containerId} has no network namespace`);
    return record;
  }

  #choiceFacts(): ChoiceFacts {
    const { machine } = this.#modules;
    const { cluster, sandboxes, locals } = this.#wanted;
    return {
      ...(cluster === undefined ? {} : { cluster }),
      sandboxes,
      locals,
      isForeign: (port) => this.#isForeign(port),
      // Looking costs milliseconds where there are many links: only who asks for an address pays.
      get addresses() {
        return [...machine.addresses().values()].flat();
      },
      get addresses6() {
        return machine.addresses6();
      },
      dynamicPorts: this.#opts.dynamicPorts,
      lastSlot: this.#lastSlot,
      lastPort: this.#lastPort,
    };
  }

  /** Binding tells at once; only what is taken is looked at closer. */
  #isForeign(port: PortBinding): boolean {
    const { machine } = this.#modules;
    const { protocol, hostPort } = port;
    if (protocol === 'sctp') return false;
    if (machine.canBind(protocol, port.hostIp === '' ? '0.0.0.0' : port.hostIp, hostPort)) return false;
    return machine.openSockets(protocol).some((socket) => meetsSocket(port, socket));
  }

  #describe(record: SandboxRecord): Sandbox {
    const meshAddr = meshAddressOf(this.#plane.plan?.context.mesh, record);
    const named = record.attachments.some((on) => {
      const local = this.#wanted.locals.get(on.networkId);
      return local?.name !== 'bridge' && local?.driver !== 'macvlan';
    });
    return {
      containerId: record.containerId,
      netnsPath: netnsPath(this.#opts, record.containerId) as string,
      attachments: record.attachments.map(infoOf),
      ports: record.ports,
      ...(meshAddr === undefined ? {} : { meshAddr }),
      ...(named || meshAddr !== undefined ? { nameserver: RESOLVER } : {}),
    };
  }

  #flowsOf(record: SandboxRecord, protocol: 'tcp' | 'udp'): Leaving[] {
    const plan = this.#plane.plan;
    return plan === undefined ? [] : flowsTo(record, protocol, plan.context);
  }

  /** Flows that nobody forgets end by themselves, only later. */
  async #forget(leaving: readonly Leaving[]): Promise<void> {
    const { machine, log } = this.#modules;
    for (const { namespace, protocol, addresses } of leaving) {
      const path = netnsPath(this.#opts, namespace);
      if (path !== undefined && !machine.isNamespace(path)) continue;
      await machine.forgetFlows(path, protocol, addresses).catch((err: unknown) => {
        log.warn('flows to tasks that left were not forgotten', { err: messageOf(err), namespace, protocol });
      });
    }
  }

  #letBridgesBe(): void {
    try {
      this.#modules.machine.setSettings(undefined, {
        'net/bridge/bridge-nf-call-iptables': 0,
        'net/bridge/bridge-nf-call-ip6tables': 0,
      });
    } catch {
      // Without the switch there is no such filter.
    }
  }

  #report(failures: readonly Failure[]): void {
    for (const { namespace, message } of failures)
      this.#modules.log.warn('a change of the network failed', { namespace, err: message });
  }

  #couldNotUndo(err: unknown): void {
    this.#modules.log.warn('a sandbox was not undone; the next change tries again', { err: messageOf(err) });
  }
}

/** For one container or one network of this machine: no part of what managers ask for. */
function isLocal(cause: string): boolean {
  return cause.startsWith('sandbox:') || cause.startsWith('local:');
}

function infoOf(on: AttachmentRecord): AttachmentInfo {
  const { networkId, address, gateway, mac, ipv6 } = on;
  return { networkId, address, gateway, mac, ...(ipv6 === undefined ? {} : { ipv6 }) };
}

/** The last port that was chosen, and not asked for. */
function lastDynamic(asked: readonly PortBinding[], chosen: readonly PortBinding[]): number | undefined {
  const free = asked.filter((port) => port.hostPort === 0);
  return chosen.filter((port) => free.some((one) => isSamePort(one, port))).at(-1)?.hostPort;
}

function isSamePort(a: PortBinding, b: PortBinding): boolean {
  return a.protocol === b.protocol && a.containerPort === b.containerPort;
}

function hasEndpoints(network: LocalNetwork | undefined, id: string, on: readonly SandboxRecord[]) {
  const names = on.map((record) => record.names[0] ?? record.containerId).join(', ');
  return new ShoalError(
    'FORBIDDEN',
    `error while removing network: network ${network?.name ?? id} id ${id} has active endpoints (${names})`,
  );
}
