import { codeOf } from '#proto/base/errors.ts';
import { type Filters, flagFilter } from '#proto/http/filters.ts';
import type { ImageStore } from './image-store.ts';
import type { ImageName, StoredImage } from './image-table.ts';
import { createdMs, labelTest, untilMs } from './list.ts';
import { familiarName, parseReference } from './reference.ts';
import { isDangling, isDigestName, type Removal, removeImage } from './remove.ts';

export interface Pruned {
  readonly removals: Removal[];
  readonly bytes: number;
}

/** `docker image prune`: images without a name that no container uses; with `dangling=false` named ones too. */
export async function pruneImages(store: ImageStore, filters: Filters): Promise<Pruned> {
  const danglingOnly = flagFilter(filters, 'dangling') ?? true;
  const wanted = labelTest(filters);
  const until = untilMs(store, filters);
  const removals: Removal[] = [];
  const before = contentBytes(store);
  for (const image of store.table.images()) {
    const isWanted = !image.removed && wanted(image) && createdMs(image) <= until;
    if (isWanted && !isUsed(store, image)) await pruneOne(store, image, danglingOnly, removals);
  }
  await store.collect();
  const bytes = Math.max(0, before - contentBytes(store));
  store.event('prune', '', { reclaimed: String(bytes) });
  return { removals, bytes };
}

async function pruneOne(
  store: ImageStore,
  image: StoredImage,
  danglingOnly: boolean,
  removals: Removal[],
): Promise<void> {
  // An earlier one may have taken it along, as its parent.
  if (!store.table.get(image.id)) return;
  const names = store.table.namesOf(image.id);
  const isWanted = danglingOnly
    ? store.table.children(image.id).length === 0 && names.every(isDigestName)
    : isDangling(store, image.id) || names.length > 0;
  if (!isWanted) return;
  for (const name of names.length > 0 ? names.map(familiarOf) : [image.id]) {
    if (!store.table.get(image.id)) return;
    removals.push(...(await removeUnused(store, name)));
  }
}

/** What has come into use a moment ago stays. */
async function removeUnused(store: ImageStore, name: string): Promise<Removal[]> {
  try {
    return await removeImage(store, name, { force: false, prune: true });
  } catch (error) {
    if (['CONFLICT', 'NOT_FOUND'].includes(codeOf(error))) return [];
    throw error;
  }
}

function isUsed(store: ImageStore, { id }: StoredImage): boolean {
  return store.holds.of(id).length > 0 || store.leases.has(id);
}

function familiarOf({ name }: ImageName): string {
  return familiarName(parseReference(name));
}

function contentBytes(store: ImageStore): number {
  return store.layerStore.all().reduce((sum, { size }) => sum + size, 0);
}

/** `docker builder prune`: steps of builds that led to nothing with a name. */
export async function pruneBuildCache(store: ImageStore): Promise<Pruned> {
  const removals: Removal[] = [];
  const before = contentBytes(store);
  for (const image of store.table.images()) {
    const isStep = image.cacheKey !== undefined && !image.removed;
    if (isStep && !isUsed(store, image)) await pruneOne(store, image, true, removals);
  }
  return { removals, bytes: Math.max(0, before - contentBytes(store)) };
}
