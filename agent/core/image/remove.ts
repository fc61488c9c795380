import { ShoalError } from '#proto/base/errors.ts';
import { type Digest, shortId } from './digest.ts';
import type { ImageStore } from './image-store.ts';
import type { ImageName, StoredImage } from './image-table.ts';
import { isIdOf, namedAs } from './lookup.ts';
import { familiarName, parseReference } from './reference.ts';

/** One line of what a removal did, as the Engine API tells it. */
export type Removal = { readonly Untagged: string } | { readonly Deleted: string };

export interface RemoveOpts {
  /** Also when it has more names, or a container that does not run uses it. */
  readonly force: boolean;
  /** Parents without name, which nobody else was built on, go too. */
  readonly prune: boolean;
}

/**
 * `docker rmi`, by Docker's rules: a name is taken away; with its last name the image goes. By id, an image goes with
 * its names when they are all of one repository. NOT_FOUND, or CONFLICT with the reason.
 */
export async function removeImage(store: ImageStore, nameOrId: string, opts: RemoveOpts): Promise<Removal[]> {
  const image = store.find(nameOrId);
  const removals: Removal[] = [];
  const byName = !isIdOf(image, nameOrId);
  if (byName) {
    const rest = await takeName(store, image, nameOrId, opts, removals);
    if (rest.length > 0) return removals;
  } else if (isOneRepository(store.table.namesOf(image.id))) {
    const conflict = conflictOf(store, image.id, { force: opts.force, names: false });
    if (conflict) throw conflict.error;
    await untag(store, image, store.table.namesOf(image.id), removals);
  }
  await removeWithParents(store, image.id, { ...opts, quiet: byName }, removals);
  return removals;
}

/** Takes one name away, and with the last tag of a repository its digests. Gives back the names left. */
async function takeName(
  store: ImageStore,
  image: StoredImage,
  nameOrId: string,
  opts: RemoveOpts,
  removals: Removal[],
): Promise<ImageName[]> {
  const names = store.table.namesOf(image.id);
  const [holder] = store.holds.of(image.id);
  if (!opts.force && holder && isOneRepository(names)) {
    throw new ShoalError(
      'CONFLICT',
      `conflict: unable to remove repository reference "${nameOrId}" (must force) - container ${shortId(holder)} is using its referenced image ${shortId(image.id)}`,
    );
  }
  const taken = namedAs(store.table, nameOrId);
  // Known by a digest that no name of this node has: there is no name to take away, only the image.
  if (!taken) return names;
  const rest = names.filter(({ name }) => name !== taken.name);
  const orphans = isDigestName(taken) || hasTag(rest, taken) ? [] : digestNamesOf(rest, taken);
  await untag(store, image, [taken, ...orphans], removals);
  return rest.filter((name) => !orphans.includes(name));
}

async function untag(
  store: ImageStore,
  image: StoredImage,
  names: readonly ImageName[],
  removals: Removal[],
): Promise<void> {
  if (names.length === 0) return;
  await store.table.change((edit) => {
    for (const { name } of names) edit.removeName(name);
  });
  for (const { name } of names) {
    removals.push({ Untagged: familiarName(parseReference(name)) });
    store.event('untag', image.id, { name: image.id });
  }
}

interface DeleteOpts extends RemoveOpts {
  /** A conflict stops the removal without being an error, unless it would leave an image without name unused. */
  readonly quiet: boolean;
}

async function removeWithParents(
  store: ImageStore,
  id: Digest,
  opts: DeleteOpts,
  removals: Removal[],
): Promise<void> {
  const image = store.table.get(id);
  if (!image || image.removed) return;
  const conflict = conflictOf(store, id, { force: opts.force, names: true });
  if (conflict) {
    if (opts.quiet && (!isDangling(store, id) || conflict.used)) return;
    throw conflict.error;
  }
  await untag(store, image, store.table.namesOf(id), removals);
  await deleteImage(store, image, removals);
  if (opts.prune && image.parent !== undefined) {
    await removeWithParents(store, image.parent, { force: false, prune: true, quiet: true }, removals);
  }
}

/** Deletes the image itself; while a container still uses it, only out of sight. */
async function deleteImage(store: ImageStore, image: StoredImage, removals: Removal[]): Promise<void> {
  const isHeld = store.holds.of(image.id).length > 0;
  await store.table.change((edit) => {
    if (isHeld) edit.put({ ...image, removed: true });
    else edit.remove(image.id);
  });
  store.event('delete', image.id, { name: image.id });
  removals.push({ Deleted: image.id });
  const { layers } = await store.collect();
  for (const chainId of image.chain.toReversed())
    if (layers.includes(chainId)) removals.push({ Deleted: chainId });
}

interface Conflict {
  readonly error: ShoalError;
  /** A container is the reason. */
  readonly used: boolean;
}

function conflictOf(
  store: ImageStore,
  id: Digest,
  check: { readonly force: boolean; readonly names: boolean },
): Conflict | undefined {
  if (store.table.children(id).length > 0)
    return conflict(id, 'image has dependent child images', { hard: true });
  if (store.leases.has(id))
    return conflict(id, 'image is being used by a build or a pull', { hard: true, used: true });
  const holders = store.holds.of(id);
  const running = holders.find((holder) => store.isRunning(holder));
  if (running) {
    return conflict(id, `image is being used by running container ${shortId(running)}`, {
      hard: true,
      used: true,
    });
  }
  if (check.force) return undefined;
  if (check.names && store.table.namesOf(id).length > 0) {
    return conflict(id, 'image is referenced in multiple repositories', {});
  }
  const [stopped] = holders;
  if (!stopped) return undefined;
  return conflict(id, `image is being used by stopped container ${shortId(stopped)}`, { used: true });
}

function conflict(id: Digest, reason: string, { hard = false, used = false }): Conflict {
  const force = hard ? 'cannot be forced' : 'must be forced';
  return {
    error: new ShoalError('CONFLICT', `conflict: unable to delete ${shortId(id)} (${force}) - ${reason}`),
    used,
  };
}

/** No name, and no image built on it. */
export function isDangling(store: ImageStore, id: Digest): boolean {
  return store.table.namesOf(id).length === 0 && store.table.children(id).length === 0;
}

/** At most one tag, and no digest of another repository than its. */
function isOneRepository(names: readonly ImageName[]): boolean {
  if (names.length <= 1) return true;
  const tags = names.filter((name) => !isDigestName(name));
  const repositories = new Set(names.map(repositoryOfName));
  return tags.length <= 1 && repositories.size === 1;
}

function hasTag(names: readonly ImageName[], like: ImageName): boolean {
  return names.some((name) => !isDigestName(name) && repositoryOfName(name) === repositoryOfName(like));
}

function digestNamesOf(names: readonly ImageName[], like: ImageName): ImageName[] {
  return names.filter((name) => isDigestName(name) && repositoryOfName(name) === repositoryOfName(like));
}

export function isDigestName({ name }: ImageName): boolean {
  return name.includes('@');
}

/** `docker.io/library/busybox` of a full name. */
export function repositoryOfName({ name }: ImageName): string {
  const at = name.indexOf('@');
  return at >= 0 ? name.slice(0, at) : name.slice(0, name.lastIndexOf(':'));
}
