import { chmodSync, chownSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type FailureCode, messageOf, ShoalError } from '#proto/base/errors.ts';
import type { Sandbox, SandboxRequest } from '../net/node-network.ts';
import { bothEnded } from './both-ended.ts';
import type { BundleWriter } from './bundle.ts';
import { cgroupPath } from './bundle.ts';
import type { Container } from './container.ts';
import { emitContainer } from './container-events.ts';
import { dnsOf, rememberedGroup } from './defaults.ts';
import { settledEndpoints } from './endpoints.ts';
import { STARTING } from './health-state.ts';
import { linkNames } from './links.ts';
import { Cgroup } from './linux/cgroup.ts';
import { unmountIfMountedAside } from './linux/mounts.ts';
import { isAlive, setOomScore, signalPid } from './linux/process.ts';
import type { Supervised } from './linux/runtime.ts';
import { RuntimeFailure } from './linux/runtime-failure.ts';
import { logOptions } from './logs/options.ts';
import { needsSandbox, userNamespaceOf } from './namespaces.ts';
import type { LocalNetworks } from './networks.ts';
import type { EngineParts } from './parts.ts';
import { publishedPorts } from './ports.ts';
import { type ContainerSpec, NEVER, timestamp } from './record.ts';
import { SandboxCloser } from './sandbox-closer.ts';

const SIGKILL = 9;
/** The exit code of what could not be started for another reason than its command. */
const OTHER = 128;
const END_WAIT_MS_MAX = 10_000;

export type StarterParts = Pick<
  EngineParts,
  | 'opts'
  | 'clock'
  | 'log'
  | 'cgroups'
  | 'cgroupMoves'
  | 'events'
  | 'net'
  | 'networks'
  | 'runtime'
  | 'spawner'
  | 'userNamespace'
  | 'volumes'
> & { readonly rootfs: Pick<EngineParts['rootfs'], 'mount' | 'logPath'> };

/** Brings containers to life, and clears away what they needed while they lived. */
export class Starter implements AsyncDisposable {
  readonly #parts: StarterParts;
  readonly #bundles: BundleWriter;
  readonly #closer: SandboxCloser;

  constructor(parts: StarterParts, modules: { bundles: BundleWriter }) {
    this.#parts = parts;
    this.#bundles = modules.bundles;
    this.#closer = new SandboxCloser(parts);
  }

  /** Waits for what is still being taken down. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closer[Symbol.asyncDispose]();
  }

  /** Starts a container that has no process. What fails is undone, and told in its state as well. */
  async start(container: Container): Promise<void> {
    try {
      await this.#startOrThrow(container);
    } catch (error) {
      await this.#undo(container);
      const { code, exitCode: reason } = classified(error);
      // How it ended last says more than that it could not be started again.
      const exitCode = reason === OTHER ? container.run.exitCode || OTHER : reason;
      const status = container.run.startedAt === NEVER ? 'created' : 'exited';
      container.updateRun({ status, exitCode, error: messageOf(error) });
      throw error instanceof ShoalError ? error : new ShoalError(code, messageOf(error), { cause: error });
    }
  }

  async #startOrThrow(container: Container): Promise<void> {
    const { runtime, rootfs, cgroupMoves } = this.#parts;
    cgroupMoves.expect();
    this.#settle(container);
    const { spec } = container;
    const bundle = runtime.bundle(spec.id);
    if (existsSync(bundle)) runtime.forget(spec.id);
    mkdirSync(join(bundle, 'rootfs'), { recursive: true, mode: 0o700 });
    const users = userNamespaceOf(spec, this.#parts);
    if (users) letIn(bundle, users.root.gid);
    for (const { name } of spec.mounts) if (name !== undefined) this.#parts.volumes.use(name, spec.id);
    const [sandbox] = await bothEnded(
      needsSandbox(spec) ? this.#openSandbox(spec) : Promise.resolve(undefined),
      rootfs.mount(spec.id, spec.imageId, join(bundle, 'rootfs'), users),
    );
    await this.#bundles.write(spec, sandbox);
    const supervised = await runtime.create(this.#supervision(spec));
    const { OomScoreAdj = 0 } = spec.hostConfig;
    if (users && OomScoreAdj < 0) setOomScore(supervised.init.pid, OomScoreAdj);
    if (container.io.isWanted) container.io.connect(runtime.attachPath(spec.id));
    await bothEnded(this.#noteRunning(container, supervised, sandbox), this.#letGo(container));
  }

  async #letGo(container: Container): Promise<void> {
    const { runtime, events } = this.#parts;
    runtime.start(container.id);
    emitContainer(events, container, 'start');
    // Its mount namespace keeps the file system; without this every mount of the machine slows later starts.
    await unmountIfMountedAside(join(runtime.bundle(container.id), 'rootfs'));
  }

  /** Decides what depends on how things are at this moment; remembered, so that a later engine finds it. */
  #settle(container: Container): void {
    const { networks, opts } = this.#parts;
    const { endpoints, cgroupParent = '' } = container.spec;
    const settled = {
      endpoints: settledEndpoints(endpoints, networks),
      cgroupParent: rememberedGroup(opts),
    };
    if (!isDeepStrictEqual(settled, { endpoints, cgroupParent })) container.updateSpec(settled);
  }

  #supervision(spec: ContainerSpec): Parameters<EngineParts['runtime']['create']>[0] {
    const { id, path, config, hostConfig } = spec;
    const keepsLog = logOptions(hostConfig).driver !== 'none';
    return {
      id,
      command: path,
      terminal: config.Tty ?? false,
      stdin: config.OpenStdin ?? false,
      leaveStdinOpen: !config.StdinOnce,
      mapped: userNamespaceOf(spec, this.#parts) !== undefined,
      ...(keepsLog ? { logPath: this.#parts.rootfs.logPath(id) } : {}),
    };
  }

  /**
   * Written before the process is let go: a crash in between is finished when the engine comes back. On disk when it
   * resolves: a process does not outlive the machine.
   */
  #noteRunning(
    container: Container,
    { init, conmon }: Supervised,
    sandbox: Sandbox | undefined,
  ): Promise<void> {
    const { health, sandbox: _before, ...run } = container.run;
    return container.writeRun({
      ...run,
      // What earlier checks found stays to be read.
      ...(health ? { health: { ...STARTING, Log: health.Log } } : {}),
      status: 'running',
      init,
      ...(conmon ? { conmon } : {}),
      ...(sandbox ? { sandbox } : {}),
      startedAt: timestamp(this.#parts.clock.wallMs()),
      exitCode: 0,
      error: '',
      oomKilled: false,
      stoppedByUser: false,
    });
  }

  async #openSandbox(spec: ContainerSpec): Promise<Sandbox> {
    const { net, networks } = this.#parts;
    await this.#closer.closed(spec.id);
    for (const { networkId } of Object.values(spec.endpoints))
      await networks.ensure(networks.find(networkId));
    using made = await userNamespaceOf(spec, this.#parts)?.newNetwork(this.#parts.spawner);
    const request = sandboxRequest(spec, this.#parts);
    const sandbox = await net.openSandbox(made ? { ...request, namespace: made.path } : request);
    for (const { networkId } of sandbox.attachments) this.#networkEvent('connect', networkId, spec.id);
    return sandbox;
  }

  #networkEvent(action: 'connect' | 'disconnect', networkId: string, container: string): void {
    const record = this.#parts.networks.list().find(({ id }) => id === networkId);
    if (record === undefined) return;
    const { name, driver } = record;
    this.#parts.events.emit('network', action, networkId, { container, name, type: driver });
  }

  async #undo(container: Container): Promise<void> {
    const init = this.#parts.runtime.initOf(container.id);
    if (init) signalPid(init.pid, SIGKILL);
    container.io.finish();
    await this.clear(container);
  }

  cgroup(spec: ContainerSpec): Cgroup {
    const { opts, cgroups, clock } = this.#parts;
    return new Cgroup({ layout: cgroups, path: cgroupPath(opts, spec) }, { clock });
  }

  /**
   * Clears away what a container had while it ran: processes left in its control group, the group, its mounts, its
   * network. Goes on when one of these fails, so that as little as possible stays.
   */
  async clear(container: Container, sandbox = container.run.sandbox): Promise<void> {
    const { spec } = container;
    const { runtime, volumes, log } = this.#parts;
    const steps: readonly [string, () => Promise<void> | void][] = [
      ['processes', () => this.#endAll(spec)],
      ['control group', () => this.cgroup(spec).remove()],
      ['bundle', () => runtime.forget(spec.id)],
      ['network', () => (needsSandbox(spec) ? this.#closeSandbox(container, sandbox) : undefined)],
      [
        'volumes',
        () => {
          for (const { name } of spec.mounts) if (name !== undefined) volumes.release(name, spec.id);
        },
      ],
    ];
    for (const [what, act] of steps) {
      try {
        await act();
      } catch (error) {
        log.error('a container left something behind', { container: spec.id, what, err: error });
      }
    }
  }

  #closeSandbox({ id }: Container, sandbox: Sandbox | undefined): void {
    this.#closer.begin(id);
    for (const { networkId } of sandbox?.attachments ?? []) this.#networkEvent('disconnect', networkId, id);
  }

  /** Kills what is left in the control group, and waits until conmon has written its last. */
  async #endAll(spec: ContainerSpec): Promise<void> {
    const { runtime, clock } = this.#parts;
    const group = this.cgroup(spec);
    const conmon = runtime.conmonOf(spec.id);
    const deadline = clock.monotonicMs() + END_WAIT_MS_MAX;
    for (;;) {
      const left = group.processes();
      for (const pid of left) signalPid(pid, SIGKILL);
      if (left.length === 0 && !(conmon && isAlive(conmon))) return;
      if (clock.monotonicMs() > deadline) throw new Error(`processes ${left.join(', ')} won't end`);
      await clock.sleep(1);
    }
  }
}

/** The first process of a container in a user namespace goes through its bundle as that one's root. */
function letIn(bundle: string, gid: number): void {
  chownSync(bundle, 0, gid);
  chmodSync(bundle, 0o710);
}

/** What the data plane is to make for a container. */
export function sandboxRequest(
  spec: ContainerSpec,
  { networks, opts }: { networks: Pick<LocalNetworks, 'find'>; opts: Pick<EngineParts['opts'], 'defaults'> },
): SandboxRequest {
  const { config, hostConfig, endpoints, extras } = spec;
  const names = [spec.name, spec.id.slice(0, 12), config.Hostname ?? ''].filter((name) => name !== '');
  const dns = dnsOf(hostConfig, opts.defaults);
  const bridges = Object.values(endpoints).filter(
    ({ networkId }) => networks.find(networkId).subnet !== undefined,
  );
  return {
    containerId: spec.id,
    names: [...new Set(names)],
    attachments: [
      ...bridges.map(({ networkId, config: endpoint }) => ({
        networkId,
        ...(endpoint?.IPAMConfig?.IPv4Address ? { address: endpoint.IPAMConfig.IPv4Address } : {}),
        ...(endpoint?.IPAMConfig?.IPv6Address ? { address6: endpoint.IPAMConfig.IPv6Address } : {}),
        ...(endpoint?.MacAddress || config.MacAddress
          ? { mac: endpoint?.MacAddress || config.MacAddress || '' }
          : {}),
        aliases: endpoint?.Aliases ?? [],
        links: linkNames(endpoint?.Links),
      })),
      ...(extras?.attachments ?? []).map(({ networkId, address, aliases }) => ({
        networkId,
        address,
        aliases,
      })),
    ],
    ports: publishedPorts(config, hostConfig),
    mesh: extras?.mesh ?? false,
    ...(dns.length > 0 ? { dns } : {}),
  };
}

/** How a failed start looks from outside: Docker answers 400 when the command itself can't be run. */
function classified(error: unknown): { code: FailureCode; exitCode: number } {
  if (!(error instanceof RuntimeFailure)) return { code: 'INTERNAL', exitCode: OTHER };
  return { code: error.exitCode === OTHER ? 'INTERNAL' : 'INVALID_ARGUMENT', exitCode: error.exitCode };
}
