import { rm } from 'node:fs/promises';
import { teardownNodeNetwork } from '#agent/net/open.ts';
import { systemClock } from '#proto/base/clock.ts';
import { systemRandom } from '#proto/base/random.ts';
import { lockDataRoot } from './data-root-lock.ts';
import type { DaemonOpts } from './flags.ts';
import { openLog } from './log.ts';
import { instanceOf, openMachine } from './machine.ts';
import { PeersSwitch } from './peers-switch.ts';

const REMOVED_AT_ONCE = 16;

/** Takes away every container, interface, mount and file of a daemon that does not run any more. */
export async function removeEverything(opts: DaemonOpts): Promise<void> {
  using _alone = lockDataRoot(opts.dataRoot);
  const log = openLog('warn');
  const modules = { clock: systemClock, random: systemRandom, log };
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
  for (const folder of [opts.execRoot, opts.dataRoot]) await rm(folder, { recursive: true, force: true });
}
