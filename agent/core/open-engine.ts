import { mkdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { dirname, join } from 'node:path';
import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { NodeNetwork } from '../net/node-network.ts';
import { BundleWriter } from './bundle.ts';
import type { Container } from './container.ts';
import { emitContainer } from './container-events.ts';
import { ContainerFiles } from './container-files.ts';
import { ContainerSet } from './container-set.ts';
import { ContainerEngine } from './containers.ts';
import { Creator } from './creator.ts';
import { checkDefaults, engineGroup } from './defaults.ts';
import { EventBus } from './events.ts';
import { Execs } from './execs.ts';
import { Exits } from './exits.ts';
import { watchHealth } from './health.ts';
import { tellLinked } from './links.ts';
import { removeGroupIfEmpty } from './linux/cgroup.ts';
import { fixHybridCgroups, readCgroupLayout, unfixHybridCgroups } from './linux/cgroup-layout.ts';
import { CgroupMoves } from './linux/cgroup-moves.ts';
import { closeExecRoot, openExecRoot } from './linux/exec-root.ts';
import { ExitWatch } from './linux/exit-watch.ts';
import { readMachine } from './linux/machine.ts';
import { watchOomKills } from './linux/oom-watch.ts';
import { routedSubnets } from './linux/routes.ts';
import { Runtime } from './linux/runtime.ts';
import { SeccompFilters } from './linux/seccomp.ts';
import { Spawner } from './linux/spawner.ts';
import { UserNamespace } from './linux/user-namespace.ts';
import { LogKeeper } from './logs/keeper.ts';
import { randomId } from './names.ts';
import { NetworkMembership } from './network-membership.ts';
import { LocalNetworks } from './networks.ts';
import type { EngineOpts, EngineParts } from './parts.ts';
import { forgetLastBoot, recover } from './recovery.ts';
import { Remover } from './remover.ts';
import { type ImageSource, RootFilesystems } from './rootfs.ts';
import { Starter } from './starter.ts';
import { EngineState } from './state.ts';
import { StepRuns } from './step-runs.ts';
import { Updater } from './updater.ts';
import { cgroupOf } from './usage.ts';
import { LocalVolumes } from './volumes.ts';

export interface EngineModules {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly images: ImageSource;
  readonly net: NodeNetwork;
}

/** The container engine of one machine, running. Disposing of it leaves its containers as they are. */
export interface Engine extends AsyncDisposable {
  /** Made once, kept for ever. */
  readonly id: string;
  readonly parts: EngineParts;
  readonly containers: ContainerEngine;
  readonly execs: Execs;
  readonly membership: NetworkMembership;
  readonly updater: Updater;
  readonly files: ContainerFiles;
  /** For the builder: its RUN instructions. */
  readonly steps: StepRuns;
}

const WORKERS = 8;
const CREATE_TIMEOUT_MS = 60_000;
const STARTS_WAITING_MAX = 10_000;

/** Opens the engine of these folders, and takes over whatever an earlier one left running. */
export async function openEngine(given: EngineOpts, modules: EngineModules): Promise<Engine> {
  // A folder of its own: other parts of the node keep theirs beside it.
  const opts = { ...given, execRoot: join(given.execRoot, 'engine') };
  checkDefaults(opts.defaults ?? {});
  await using stack = new AsyncDisposableStack();
  mkdirSync(opts.dataRoot, { recursive: true, mode: 0o711 });
  const state = stack.use(new EngineState({ folder: join(opts.dataRoot, 'engine') }));
  const made = makeParts(opts, modules, state, stack);
  const userNamespace = await maybeOpenUserNamespace(opts, stack);
  const parts = userNamespace ? { ...made, userNamespace } : made;
  const bundles = new BundleWriter(parts);
  const starter = stack.use(new Starter(parts, { bundles }));
  const execs = new Execs(parts, { hostnameOf: ({ spec }) => bundles.hostnameOf(spec) });
  const remover = stack.use(new Remover(parts, { execs }));
  const logs = stack.use(
    new LogKeeper({
      clock: modules.clock,
      log: modules.log,
      pathOf: (id) => parts.rootfs.logPath(id),
      reopen: (id) => void parts.runtime.reopenLog(id),
    }),
  );
  const onStarted = (container: Container): void => {
    logs.watch(container);
    tellLinked(container, { containers: parts.containers, bundles });
    container.stopHealth = watchHealth(container, { ...parts, execs });
    watchMemory(container, parts);
  };
  const exits = stack.use(
    new Exits(parts, {
      starter,
      onStarted,
      onEnded: (container) => logs.finish(container),
      remove: (container) => remover.removeLocked(container, true),
    }),
  );
  const creator = new Creator(parts);
  await recover(parts, { creator, starter, exits, remover, onStarted });
  watchExits(parts, exits, stack);
  stack.defer(() => letGo(parts));
  const containers = new ContainerEngine(parts, { creator, starter, exits, remover, execs, onStarted });
  const membership = new NetworkMembership(parts, { bundles });
  const updater = new Updater(parts, { starter });
  const steps = new StepRuns(parts);
  const files = new ContainerFiles(parts);
  const running = stack.move();
  const dispose = (): Promise<void> => running.disposeAsync();
  return {
    id: engineId(parts),
    parts,
    containers,
    execs,
    membership,
    updater,
    steps,
    files,
    [Symbol.asyncDispose]: dispose,
  };
}

function makeParts(
  opts: EngineOpts,
  { clock, random, log, images, net }: EngineModules,
  state: EngineState,
  stack: AsyncDisposableStack,
): EngineParts {
  fixHybridCgroups();
  const cgroups = readCgroupLayout();
  const machine = readMachine(cgroups);
  openExecRoot(opts.execRoot);
  forgetLastBoot(opts.execRoot, machine.bootId);
  const events = new EventBus({ clock });
  const containers = new ContainerSet();
  const spawning = {
    workers: opts.spawnWorkers ?? WORKERS,
    timeoutMs: CREATE_TIMEOUT_MS,
    waitingMax: STARTS_WAITING_MAX,
  };
  const spawner = stack.use(new Spawner(spawning, { clock, log }));
  const { execRoot, crun = '/usr/bin/crun', conmon = 'conmon' } = opts;
  const runtime = new Runtime({ execRoot, crun, conmon }, { spawner });
  runtime.open();
  stack.defer(() => closeDown(opts, runtime, cgroups, containers));
  return {
    ...{
      opts,
      clock,
      random,
      log,
      machine,
      cgroups,
      cgroupMoves: new CgroupMoves({ layout: cgroups }),
      state,
      containers,
      events,
      images,
      net,
      spawner,
      runtime,
    },
    rootfs: new RootFilesystems({ dataRoot: opts.dataRoot }, { images }),
    volumes: new LocalVolumes(
      { folder: join(opts.dataRoot, 'volumes') },
      { table: state.volumes, events, clock, random, usedBy: (name) => volumeUsers(containers, name) },
    ),
    networks: new LocalNetworks({
      table: state.networks,
      network: net,
      events,
      clock,
      random,
      machineSubnets,
      defaults: opts.defaults ?? {},
    }),
    seccomp: new SeccompFilters({ folder: join(opts.dataRoot, 'seccomp') }, { runtime, spawner }),
  };
}

async function maybeOpenUserNamespace(
  { execRoot, dataRoot, idMaps }: EngineOpts,
  stack: AsyncDisposableStack,
): Promise<UserNamespace | undefined> {
  if (idMaps === undefined) return undefined;
  // Short names: the paths of all layers of an image have to fit in one page.
  const folder = join(execRoot, 'u');
  return stack.use(await UserNamespace.open({ folder, dataRoot, maps: idMaps }));
}

function volumeUsers(containers: ContainerSet, volume: string): string[] {
  return containers
    .all()
    .filter(({ spec }) => spec.mounts.some(({ name }) => name === volume))
    .map(({ id }) => id);
}

function machineSubnets(): string[] {
  const own = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).flatMap(({ cidr }) => cidr ?? []),
  );
  // A bridge without containers is no interface that runs: only its route tells of it.
  return [...own, ...routedSubnets()];
}

/** What containers may still need stays; the rest goes. */
function closeDown(
  opts: EngineOpts,
  runtime: Runtime,
  cgroups: EngineParts['cgroups'],
  containers: ContainerSet,
): void {
  runtime.close();
  closeExecRoot(
    opts.execRoot,
    containers.all().some(({ hasProcess }) => hasProcess),
  );
  const group = engineGroup(opts);
  removeGroupIfEmpty(cgroups, group);
  removeGroupIfEmpty(cgroups, dirname(group));
  unfixHybridCgroups();
}

/** From now on ends are noticed; those between recovery and here are found by the first look. */
function watchExits(parts: EngineParts, exits: Exits, stack: AsyncDisposableStack): void {
  const onExit = (id: string): void => {
    exits.onExit(id).catch((error: unknown) => {
      parts.log.error('the end of a container could not be handled', { container: id, err: error });
    });
  };
  const watch = new ExitWatch({ folder: parts.runtime.exitFolder }, { clock: parts.clock, onExit });
  stack.use(watch);
  watch.look();
  exits.watchSupervisors();
}

/** One of its processes may be killed for want of memory while the others go on. */
function watchMemory(container: Container, parts: EngineParts): void {
  if (!container.spec.hostConfig.Memory) return;
  const onOom = (): void => {
    container.updateRun({ oomKilled: true });
    emitContainer(parts.events, container, 'oom');
  };
  const group = cgroupOf(parts, container);
  container.stopOomWatch =
    group.layout.version === 2
      ? watchOomKills(group, container.run.oomKilled ? group.oomKills() : 0, onOom)
      : parts.runtime.watchOom(container.id, onOom);
}

/** Nothing new begins, and what is under way with a container comes to its end. */
async function letGo({ containers }: EngineParts): Promise<void> {
  for (const container of containers.all()) {
    container.stopHealth?.();
    container.stopOomWatch?.[Symbol.dispose]();
    container.cancelRestart?.();
    container.io.close();
  }
  await Promise.all(containers.all().map((container) => container.lock.run(async () => undefined)));
}

function engineId({ state, random }: EngineParts): string {
  const known = state.facts.get('id');
  if (typeof known === 'string') return known;
  const id = randomId(random);
  state.facts.put('id', id);
  return id;
}
