import { ShoalError } from '#proto/base/errors.ts';
import { type Digest, isDigest } from './digest.ts';

/*
 * Image references by the grammar of the distribution project, with the names Docker lets people leave out:
 * `busybox` is docker.io/library/busybox.
 */

/** The registry that names without one belong to, and the folder of its short names. */
export const DEFAULT_DOMAIN = 'docker.io';
const LEGACY_DOMAIN = 'index.docker.io';
const OFFICIAL_FOLDER = 'library/';
const NAME_LENGTH_MAX = 255;

export interface Reference {
  /** Host with port, or `docker.io`. */
  readonly domain: string;
  /** `library/busybox`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const HOST =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/;
const PATH_PART = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const WHOLE_ID = /^[a-f0-9]{64}$/;

/** Parses what a user typed. INVALID_ARGUMENT with Docker's words. A missing tag stays missing. */
export function parseReference(text: string): Reference {
  if (WHOLE_ID.test(text)) {
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const { name, tag, digest } = split(text);
  const { domain, path } = splitDomain(name);
  if (path.toLowerCase() !== path && isPath(path.toLowerCase())) {
    throw invalid(`invalid reference format: repository name (${path}) must be lowercase`);
  }
  if (!HOST.test(domain) || !isPath(path)) throw invalid('invalid reference format');
  if (tag !== undefined && !isTag(tag)) throw invalid('invalid reference format');
  if (digest !== undefined && !isDigest(digest)) throw invalid('invalid reference format');
  if (domain.length + 1 + path.length > NAME_LENGTH_MAX) {
    throw invalid(`repository name must not be more than ${NAME_LENGTH_MAX} characters`);
  }
  return { domain, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** The same, or undefined when it is no reference. */
export function tryParseReference(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
}

function split(text: string): { name: string; tag?: string; digest?: string } {
  const at = text.indexOf('@');
  const beforeDigest = at < 0 ? text : text.slice(0, at);
  const colon = beforeDigest.lastIndexOf(':');
  const hasTag = colon > beforeDigest.lastIndexOf('/');
  return {
    name: hasTag ? beforeDigest.slice(0, colon) : beforeDigest,
    ...(hasTag ? { tag: beforeDigest.slice(colon + 1) } : {}),
    ...(at < 0 ? {} : { digest: text.slice(at + 1) }),
  };
}

/** The first part is a host when it looks like one: a dot, a colon, `localhost`, or capitals no path may have. */
function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first;
  const domain = isHost && first !== LEGACY_DOMAIN ? first : DEFAULT_DOMAIN;
  const path = isHost ? name.slice(slash + 1) : name;
  const official = domain === DEFAULT_DOMAIN && !path.includes('/');
  return { domain, path: official ? OFFICIAL_FOLDER + path : path };
}

export function isTag(text: string): boolean {
  return TAG.test(text);
}

function isPath(path: string): boolean {
  return path.split('/').every((part) => PATH_PART.test(part));
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', message);
}

/** With `latest` where there is neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  if (reference.tag !== undefined || reference.digest !== undefined) return reference;
  return { ...reference, tag: 'latest' };
}

/** `docker.io/library/busybox`. */
export function repositoryOf(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** In full: what the image table is keyed by. */
export function fullName(reference: Reference): string {
  return repositoryOf(reference) + suffixOf(reference);
}

/** The repository as people write it: `busybox`, `me/app`, `registry:5000/app`. */
export function familiarRepository(reference: Reference): string {
  if (reference.domain !== DEFAULT_DOMAIN) return repositoryOf(reference);
  const short = reference.path.slice(OFFICIAL_FOLDER.length);
  return reference.path.startsWith(OFFICIAL_FOLDER) && !short.includes('/') ? short : reference.path;
}

/** The whole reference as people write it. */
export function familiarName(reference: Reference): string {
  return familiarRepository(reference) + suffixOf(reference);
}

function suffixOf({ tag, digest }: Reference): string {
  return (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`);
}

/** By digest alone: a reference with both is looked up, pulled and remembered by its digest. */
export function withoutTagIfDigest(reference: Reference): Reference {
  if (reference.digest === undefined) return reference;
  return { domain: reference.domain, path: reference.path, digest: reference.digest };
}
