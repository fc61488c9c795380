import { ShoalError } from '#proto/base/errors.ts';
import type { Digest } from './digest.ts';
import type { ImageName, ImageTable, StoredImage } from './image-table.ts';
import {
  familiarName,
  fullName,
  parseReference,
  type Reference,
  tryParseReference,
  withDefaultTag,
  withoutTagIfDigest,
} from './reference.ts';

const WHOLE_ID = /^(sha256:)?[0-9a-f]{64}$/;
const PART_OF_ID = /^(sha256:)?[0-9a-f]{1,64}$/;

/**
 * The image that a user means: by whole id, by name, by the beginning of an id, in this order (as Docker does).
 * NOT_FOUND `No such image: …`, INVALID_ARGUMENT for what is neither.
 */
export function findImage(table: ImageTable, nameOrId: string): StoredImage {
  if (WHOLE_ID.test(nameOrId)) {
    const image = table.get(withAlgorithm(nameOrId));
    if (image && !image.removed) return image;
    throw noSuch(nameOrId);
  }
  const isPart = PART_OF_ID.test(nameOrId);
  const reference = isPart && nameOrId.startsWith('sha256:') ? undefined : parseReference(nameOrId);
  const found =
    (reference && byReference(table, reference)) ?? (isPart ? byPartOfId(table, nameOrId) : undefined);
  if (found) return found;
  throw noSuch(reference === undefined ? nameOrId : familiarName(withDefaultTag(reference)));
}

/** True when this names an image by its id or the beginning of it, rather than by a name. */
export function isIdOf(image: StoredImage, nameOrId: string): boolean {
  return PART_OF_ID.test(nameOrId) && image.id.startsWith(withAlgorithm(nameOrId));
}

/** The entry of a name as a user writes it; undefined for ids and for names that nothing here has. */
export function namedAs(table: ImageTable, name: string): ImageName | undefined {
  const reference = tryParseReference(name);
  return reference && table.name(fullName(withoutTagIfDigest(withDefaultTag(reference))));
}

/** Whether a tag stands for what a registry had by it: only that is known by its digest in the same repository. */
export function cameFromRegistry(table: ImageTable, { name, target }: ImageName): boolean {
  const { domain, path, digest } = parseReference(name);
  return digest === undefined && table.name(fullName({ domain, path, digest: target.digest })) !== undefined;
}

/** Undefined when nothing here has the name. A digest alone decides: whoever has the content has the image. */
export function byReference(table: ImageTable, reference: Reference): StoredImage | undefined {
  const wanted = withoutTagIfDigest(withDefaultTag(reference));
  const named = table.name(fullName(wanted));
  if (named) return table.get(named.image);
  return wanted.digest === undefined ? undefined : byManifest(table, wanted.digest);
}

function byManifest(table: ImageTable, digest: Digest): StoredImage | undefined {
  const named = table.names().find(({ target, manifest }) => target.digest === digest || manifest === digest);
  const image = named
    ? table.get(named.image)
    : table.images().find(({ manifest }) => manifest.digest === digest);
  return image?.removed ? undefined : image;
}

function byPartOfId(table: ImageTable, part: string): StoredImage | undefined {
  const matches = table.images().filter(({ id, removed }) => !removed && id.startsWith(withAlgorithm(part)));
  if (matches.length > 1)
    throw new ShoalError('NOT_FOUND', `No such image: ${part}: ambiguous, ${matches.length} images begin so`);
  return matches[0];
}

function withAlgorithm(id: string): Digest {
  return id.startsWith('sha256:') ? id : `sha256:${id}`;
}

function noSuch(name: string): ShoalError {
  return new ShoalError('NOT_FOUND', `No such image: ${name}`);
}
