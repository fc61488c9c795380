import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { unmountUnder } from '#agent/core/linux/mounts.ts';
import { teardownNodeNetwork } from '#agent/net/open.ts';
import { systemClock } from '#proto/base/clock.ts';
import { systemRandom } from '#proto/base/random.ts';
import { lockDataRoot } from './data-root-lock.ts';
import type { DaemonOpts } from './flags.ts';
import { openLog } from './log.ts';
import { instanceOf, openMachine } from './machine.ts';
import { PeersSwitch } from './peers-switch.ts';
import { everyRemap } from './userns-remap.ts';

const REMOVED_AT_ONCE = 16;

/** Takes away every container, interface, mount and file of a daemon that does not run any more. */
export async function removeEverything(opts: DaemonOpts): Promise<void> {
  using _alone = lockDataRoot(opts.dataRoot);
  for (const each of everyRemap(opts)) await removeContainers(each);
  for (const folder of [opts.execRoot, opts.dataRoot]) await rm(folder, { recursive: true, force: true });
}

async function removeContainers(opts: DaemonOpts): Promise<void> {
  const modules = { clock: systemClock, random: systemRandom, log: openLog('warn') };
  {
    await using machine = await openMachine(opts, {
      ...modules,
      peers: new PeersSwitch(),
      dataPathAddr: () => undefined,
    });
    const { containers } = machine.engine;
    const ids = machine.engine.parts.containers.all().map(({ id }) => id);
    while (ids.length > 0) {
      const some = ids.splice(0, REMOVED_AT_ONCE);
      await Promise.all(some.map((id) => containers.remove(id, { force: true, volumes: true })));
    }
  }
  await teardownNodeNetwork({ instance: instanceOf(opts.dataRoot), execRoot: opts.execRoot }, modules);
  // Through what is left mounted there, removing the one folder would empty the other.
  unmountUnder(join(opts.execRoot, 'engine'));
}
