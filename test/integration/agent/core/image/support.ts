import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { chainIds } from '#agent/core/image/digest.ts';
import { ImageStore, type ImageStoreModules } from '#agent/core/image/image-store.ts';
import type { StoredImage } from '#agent/core/image/image-table.ts';
import type { RunConfig } from '#agent/core/image/oci.ts';
import { parseReference } from '#agent/core/image/reference.ts';
import type { TarEntry } from '#agent/core/image/tar/entry.ts';
import { nameOf } from '#agent/core/image/tar/entry.ts';
import { headerOf, PLAIN, paddingOf, TAR_END } from '#agent/core/image/tar/writer.ts';
import { xattrsOf } from '#agent/core/image/tree/attributes.ts';
import { writeArchiveLayer, writeImage } from '#agent/core/image/write.ts';
import { systemClock } from '#proto/base/clock.ts';
import { nullLog } from '#proto/base/log.ts';

/** A folder of the test's own, gone when the test is over. */
export function scratch(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'shoal-test-image-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A store in a folder of the test's own, closed when the test is over. */
export async function openStore(
  t: ExecutionContext,
  root = join(scratch(t), 'store'),
  modules: Partial<ImageStoreModules> = {},
): Promise<ImageStore> {
  const store = await ImageStore.open({ root }, { clock: systemClock, log: nullLog, ...modules });
  t.teardown(() => store[Symbol.asyncDispose]());
  return store;
}

export interface TestImage {
  readonly files: readonly Item[];
  readonly base?: StoredImage;
  readonly run?: RunConfig;
  readonly name?: string;
  /** Makes it a step of a build. */
  readonly cacheKey?: string;
}

/** An image with one layer of these files, on top of another or of nothing. */
export async function makeImage(store: ImageStore, image: TestImage): Promise<StoredImage> {
  const { base, files, run = {}, name, cacheKey } = image;
  using lease = store.lease();
  const archive = store.blobs.temporary();
  writeFileSync(archive, tarOf(...files));
  const layer = await writeArchiveLayer(store, archive, lease);
  rmSync(archive);
  const diffIds = [...(base?.config.rootfs.diff_ids ?? []), layer.diffId];
  lease.add(...chainIds(diffIds));
  await store.layerStore.unpack(diffIds, store.blobs.path(layer.descriptor.digest));
  const history = { created_by: 'test' };
  const made = await writeImage(store, {
    base,
    layer,
    run,
    history,
    ...(cacheKey !== undefined && { cacheKey }),
  });
  if (name !== undefined) await store.setName(parseReference(name), { image: made });
  return made;
}

export type Item = Partial<Omit<TarEntry, 'xattrs'>> & {
  readonly name: string;
  readonly content?: string | Buffer;
  readonly xattrs?: Readonly<Record<string, string>>;
};

/** An archive of these entries; files unless they say otherwise. */
export function tarOf(...items: readonly Item[]): Buffer {
  const parts = items.map(({ content = '', xattrs = {}, ...rest }) => {
    const bytes = Buffer.from(content);
    const entry: TarEntry = {
      ...PLAIN,
      size: bytes.length,
      ...rest,
      xattrs: new Map(Object.entries(xattrs).map(([key, value]) => [key, Buffer.from(value, 'latin1')])),
    };
    return Buffer.concat([headerOf(entry), bytes, paddingOf(bytes.length)]);
  });
  return Buffer.concat([...parts, TAR_END]);
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** All there is to know of a tree, one line a file: comparing two says whether they are the same. */
export function describeTree(root: string): string[] {
  const inodes = new Map<number, number>();
  const lines: string[] = [];
  const visit = (name: string): void => {
    const path = Buffer.from(`${root}/${name}`, 'latin1');
    const stats = lstatSync(path);
    if (!inodes.has(stats.ino)) inodes.set(stats.ino, inodes.size);
    const xattrs = [...xattrsOf(nameOf(root) + (name === '' ? '' : `/${name}`))].map(
      ([key, value]) => `${key}=${value.toString('hex')}`,
    );
    const kind = stats.isDirectory() ? 'dir' : stats.isSymbolicLink() ? `-> ${readlinkSync(path)}` : '';
    const content = stats.isFile() ? sha256(readFileSync(path)).slice(7, 19) : '';
    const device = stats.isCharacterDevice() || stats.isBlockDevice() ? `dev ${stats.rdev}` : '';
    const link = stats.nlink > 1 && !stats.isDirectory() ? `inode#${inodes.get(stats.ino)}` : '';
    const time = Math.floor(stats.mtimeMs / 1000);
    lines.push(
      [
        `/${name}`,
        stats.mode.toString(8),
        stats.uid,
        stats.gid,
        time,
        kind,
        content,
        device,
        link,
        ...xattrs.sort(),
      ].join(' '),
    );
    if (!stats.isDirectory()) return;
    const children = readdirSync(path, { encoding: 'latin1' }).sort();
    for (const child of children) visit(name === '' ? child : `${name}/${child}`);
  };
  visit('');
  return lines;
}
