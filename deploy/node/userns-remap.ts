import { chmodSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type IdMaps, outsideId } from '#agent/core/linux/id-map.ts';
import { remapFor, SYSTEM_ACCOUNTS } from '#agent/core/linux/remap-user.ts';
import type { Log } from '#proto/base/log.ts';
import type { DaemonOpts } from './flags.ts';

/** Options of a daemon whose containers may have users of their own. */
export type RemappedOpts = DaemonOpts & { readonly idMaps?: IdMaps };

/**
 * A daemon with `--userns-remap` keeps everything in folders of its own below those that it was given, named after the
 * containers' root: one and the same file can't belong to two roots. The containers of the other way of running it stay
 * as they are meanwhile.
 */
export function remapped(opts: DaemonOpts, log: Pick<Log, 'warn' | 'info'>): RemappedOpts {
  if (opts.usernsRemap === undefined) return opts;
  const idMaps = remapFor(opts.usernsRemap, SYSTEM_ACCOUNTS);
  if (idMaps === undefined) {
    log.warn('User namespaces: root cannot be remapped with itself; user namespaces are OFF');
    return opts;
  }
  const folder = `${outsideId(idMaps.users, 0)}.${outsideId(idMaps.groups, 0)}`;
  log.info('user namespaces: containers run as other users of this machine', { root: folder });
  const own = within(opts, folder);
  for (const path of [opts.execRoot, own.execRoot]) letThrough(path);
  return { ...own, idMaps };
}

/** What this daemon has kept in its folders, with and without `--userns-remap`. */
export function everyRemap(opts: DaemonOpts): DaemonOpts[] {
  const folders = readdirSync(opts.dataRoot).filter((name) => /^\d+\.\d+$/.test(name));
  return [...folders.map((folder) => within(opts, folder)), opts];
}

/** Containers' first processes come to their bundles as themselves. */
function letThrough(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o711 });
  chmodSync(path, statSync(path).mode | 0o111);
}

function within(opts: DaemonOpts, folder: string): DaemonOpts {
  return { ...opts, dataRoot: join(opts.dataRoot, folder), execRoot: join(opts.execRoot, folder) };
}
