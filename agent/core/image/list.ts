import { type Filters, fitsLabels, flagFilter, lacksLabels, parseMoment } from '#proto/http/filters.ts';
import type { Digest } from './digest.ts';
import type { ImageStore } from './image-store.ts';
import type { ImageName, StoredImage } from './image-table.ts';
import { matchesPattern } from './pattern.ts';
import { familiarName, familiarRepository, parseReference } from './reference.ts';
import { isDigestName } from './remove.ts';

/** Keys that GET /images/json takes. */
export const LIST_FILTERS = ['before', 'dangling', 'label', 'label!', 'reference', 'since', 'until'] as const;
/** Keys that POST /images/prune takes. */
export const PRUNE_FILTERS = ['dangling', 'label', 'label!', 'until'] as const;

export interface ListedImage {
  readonly image: StoredImage;
  /** Those that the filters leave. */
  readonly names: readonly ImageName[];
}

/** Images for GET /images/json, newest first. `all` also shows those that others were built on. */
export function listImages(store: ImageStore, filters: Filters, all: boolean): ListedImage[] {
  const wanted = labelTest(filters);
  const within = timeTest(store, filters);
  const listed: ListedImage[] = [];
  for (const image of store.table.images()) {
    if (image.removed || !wanted(image) || !within(image)) continue;
    const names = namesListed(store, image.id, filters);
    if (isListed(store, image, names, filters, all)) listed.push({ image, names });
  }
  return listed.sort((a, b) => createdMs(b.image) - createdMs(a.image) || (a.image.id < b.image.id ? -1 : 1));
}

function isListed(
  store: ImageStore,
  image: StoredImage,
  names: readonly ImageName[],
  filters: Filters,
  all: boolean,
): boolean {
  const hasNames = store.table.namesOf(image.id).some((name) => !isDigestName(name));
  const dangling = flagFilter(filters, 'dangling');
  if (dangling !== undefined && dangling === hasNames) return false;
  if (filters.has('reference')) return names.length > 0;
  // Steps of builds are shown on request only, those that nothing was built on always.
  return hasNames || names.length > 0 || all || store.table.children(image.id).length === 0;
}

function namesListed(store: ImageStore, id: Digest, filters: Filters): ImageName[] {
  const patterns = filters.get('reference') ?? [];
  const names = store.table.namesOf(id);
  if (patterns.length === 0) return names;
  return names.filter(({ name }) => patterns.some((pattern) => matchesReference(pattern, name)));
}

/** Patterns are held against the name with its tag and without, as people write it. */
function matchesReference(pattern: string, full: string): boolean {
  const reference = parseReference(full);
  return (
    matchesPattern(pattern, familiarName(reference)) || matchesPattern(pattern, familiarRepository(reference))
  );
}

/** What `label` and `label!` leave. */
export function labelTest(filters: Filters): (image: StoredImage) => boolean {
  return ({ config }) => {
    const labels = config.config?.Labels;
    return fitsLabels(filters, labels) && lacksLabels(filters, labels);
  };
}

function timeTest(store: ImageStore, filters: Filters): (image: StoredImage) => boolean {
  const before = (filters.get('before') ?? []).map((name) => createdMs(store.find(name)));
  const since = (filters.get('since') ?? []).map((name) => createdMs(store.find(name)));
  const until = untilMs(store, filters);
  return (image) => {
    const created = createdMs(image);
    return before.every((ms) => created < ms) && since.every((ms) => created > ms) && created <= until;
  };
}

/** The latest creation time that `until` allows; infinite without it. */
export function untilMs(store: ImageStore, filters: Filters): number {
  const times = (filters.get('until') ?? []).map((text) => parseMoment(text, store.modules.clock.wallMs()));
  return Math.min(Number.POSITIVE_INFINITY, ...times);
}

/** Milliseconds since the epoch; 0 when the image does not say. */
export function createdMs({ config }: StoredImage): number {
  const ms = config.created === undefined ? Number.NaN : Date.parse(config.created);
  return Number.isNaN(ms) ? 0 : ms;
}
