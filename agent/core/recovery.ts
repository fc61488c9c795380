import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Container } from './container.ts';
import { emitContainer } from './container-events.ts';
import type { Creator } from './creator.ts';
import { engineGroup } from './defaults.ts';
import type { Exits } from './exits.ts';
import { Cgroup, groupsUnder } from './linux/cgroup.ts';
import { forgetExecs } from './linux/exec-process.ts';
import { readExit } from './linux/exit-watch.ts';
import { isAlive, signalPid, signalProcess } from './linux/process.ts';
import type { EngineParts } from './parts.ts';
import type { Remover } from './remover.ts';
import { startsWithEngine } from './restart.ts';
import type { Starter } from './starter.ts';

const SIGKILL = 9;

interface Modules {
  readonly creator: Creator;
  readonly starter: Starter;
  readonly exits: Exits;
  readonly remover: Remover;
  readonly onStarted: (container: Container) => void;
}

/** Empties the folder of what lives no longer than a boot, when there has been one. */
export function forgetLastBoot(execRoot: string, bootId: string): void {
  const file = join(execRoot, 'boot-id');
  const before = readIfThere(file);
  if (before === bootId) return;
  for (const name of readdirSync(execRoot)) rmSync(join(execRoot, name), { recursive: true, force: true });
  writeFileSync(file, bootId);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * Finds the machine as an earlier engine left it, at whatever moment it ended: adopts containers that run, notes the
 * ends of those that ended meanwhile, finishes what was begun, takes away what is nobody's.
 */
export async function recover(parts: EngineParts, modules: Modules): Promise<void> {
  // First of all: a container does not end before everything that was put into it.
  forgetExecs(join(parts.opts.execRoot, 'x'));
  const containers = parts.state.containers().map(({ spec, run }) => modules.creator.restore(spec, run));
  for (const { spec } of containers) parts.images.hold(spec.imageId, spec.id);
  const running = containers.filter(({ hasProcess }) => hasProcess);
  await parts.net.recover(running.flatMap(({ run }) => (run.sandbox ? [run.sandbox] : [])));
  await ensureNetworks(parts, running);
  // One that can't be taken over must not keep the others waiting.
  const each = async (
    list: readonly Container[],
    act: (container: Container) => Promise<void>,
  ): Promise<void> => {
    for (const container of list)
      await act(container).catch((error: unknown) =>
        parts.log.error('a container could not be taken over', { container: container.id, err: error }),
      );
  };
  await each(running, (container) => adopt(container, parts, modules));
  await each(containers, (container) => tidy(container, parts, modules));
  await removeStrays(parts);
}

async function ensureNetworks(parts: EngineParts, running: readonly Container[]): Promise<void> {
  const ids = new Set(
    running.flatMap(({ run }) => (run.sandbox?.attachments ?? []).map(({ networkId }) => networkId)),
  );
  for (const record of parts.networks.list()) {
    if (!ids.has(record.id)) continue;
    // A device that is gone from the machine keeps nobody but those on its network from running.
    await parts.networks.ensure(record).catch((error: unknown) => {
      parts.log.error('a network could not be made ready', { network: record.name, err: error });
    });
  }
}

async function adopt(container: Container, parts: EngineParts, modules: Modules): Promise<void> {
  const { runtime, volumes, clock } = parts;
  const { init, conmon } = container.run;
  for (const { name } of container.spec.mounts) if (name !== undefined) volumes.adopt(name, container.id);
  const exit = readExit(runtime.exitFolder, container.id);
  const lives = init !== undefined && isAlive(init);
  if (exit || !lives || (conmon && !isAlive(conmon))) {
    if (!exit && lives && init) signalProcess(init, SIGKILL);
    return modules.exits.finish(container, exit ?? { code: 137, atMs: clock.wallMs() });
  }
  if (runtime.startIfWaiting(container.id)) emitContainer(parts.events, container, 'start');
  modules.onStarted(container);
}

/** A container without a process: what it may still hold is taken away, what was begun is finished. */
async function tidy(container: Container, parts: EngineParts, modules: Modules): Promise<void> {
  if (container.hasProcess) return;
  const { status } = container.run;
  if (hasBundle(parts, container.id)) {
    const init = parts.runtime.initOf(container.id);
    if (init) signalProcess(init, SIGKILL);
    await modules.starter.clear(container);
  }
  if (status === 'exited' && container.spec.hostConfig.AutoRemove)
    return modules.remover.removeLocked(container, true);
  const { run, spec } = container;
  const wanted =
    status === 'restarting' ||
    startsWithEngine(spec.hostConfig.RestartPolicy, { ...run, everStarted: status === 'exited' });
  if (wanted && container.cancelRestart === undefined) startSoon(container, parts, modules);
}

function startSoon(container: Container, parts: EngineParts, modules: Modules): void {
  void container.lock
    .run(async () => {
      if (container.hasProcess) return;
      await modules.starter.start(container);
      modules.onStarted(container);
    })
    .catch((error: unknown) => {
      parts.log.warn('a container could not be started with the engine', {
        container: container.id,
        err: error,
      });
    });
}

function hasBundle(parts: EngineParts, id: string): boolean {
  return namesIn(join(parts.opts.execRoot, 'c')).includes(id);
}

/** Bundles, folders and groups of containers that nobody remembers: they were being made, or steps of a build. */
async function removeStrays(parts: EngineParts): Promise<void> {
  const { opts, runtime, containers, rootfs, cgroups } = parts;
  const isStray = (id: string): boolean => containers.get(id) === undefined;
  const groups = groupsUnder(cgroups, engineGroup(opts));
  const bundles = namesIn(join(opts.execRoot, 'c'));
  for (const id of new Set([...groups, ...bundles])) if (isStray(id)) await removeStray(id, parts);
  for (const id of namesIn(runtime.exitFolder))
    if (isStray(id)) rmSync(join(runtime.exitFolder, id), { force: true });
  for (const id of namesIn(join(opts.dataRoot, 'containers')))
    if (isStray(id)) rmSync(rootfs.folder(id), { recursive: true, force: true });
  rmSync(join(opts.execRoot, 'v'), { recursive: true, force: true });
  rmSync(join(opts.dataRoot, 'tmp'), { recursive: true, force: true });
}

async function removeStray(id: string, { opts, cgroups, clock, runtime, log }: EngineParts): Promise<void> {
  const group = new Cgroup({ layout: cgroups, path: `${engineGroup(opts)}/${id}` }, { clock });
  for (const pid of group.processes()) signalPid(pid, SIGKILL);
  try {
    await group.remove();
  } catch (error) {
    log.error('a control group of no container is left', { group: id, err: error });
  }
  runtime.forget(id);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
