/*
 * The names of images, as far as managers deal with them: whether one is a name at all, and how it is written with the
 * digest that it stands for. The grammar is the distribution project's.
 */

const HOST =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::\d+)?$/;
const PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-fA-F0-9]{32,}$/;
const IMAGE_ID = /^[a-f0-9]{64}$/;
const NAME_CHARS_MAX = 255;
const TAG_DEFAULT = 'latest';
const HUB = /^(?:index\.)?docker\.io\//;

export interface ImageName {
  /** As written, without tag and digest. */
  readonly name: string;
  readonly tag?: string;
  readonly digest?: string;
}

/** Undefined for what is no name of an image. */
export function parseImageName(text: string): ImageName | undefined {
  const [named = '', digest, ...more] = text.split('@');
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const name = hasTag ? named.slice(0, colon) : named;
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  if (more.length > 0 || !isName(name) || IMAGE_ID.test(text)) return undefined;
  if (tag !== undefined && !TAG.test(tag)) return undefined;
  if (digest !== undefined && !DIGEST.test(digest)) return undefined;
  return { name, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

function isName(name: string): boolean {
  const [first = '', ...rest] = name.split('/');
  const hasHost = rest.length > 0 && isHost(first);
  const parts = hasHost ? rest : [first, ...rest];
  return (
    name.length <= NAME_CHARS_MAX && parts.every((part) => PART.test(part)) && (!hasHost || HOST.test(first))
  );
}

/** Whether the first part of a name is a registry, by the rule that Docker has for it. */
function isHost(part: string): boolean {
  return part.includes('.') || part.includes(':') || part === 'localhost' || part.toLowerCase() !== part;
}

/** `name:tag@digest` as people know it: the tag is said, the hub's own name is not. */
export function pinnedName({ name, tag = TAG_DEFAULT }: ImageName, digest: string): string {
  const familiar = HUB.test(name) ? name.replace(HUB, '').replace(/^library\/(?=[^/]+$)/, '') : name;
  return `${familiar}:${tag}@${digest}`;
}
