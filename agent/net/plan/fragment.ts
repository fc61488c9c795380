import type { Item } from './items.ts';
import type { Chain, Element } from './table.ts';

/** `node`: the namespace the daemon runs in. Others: the name of a file in the directory of namespaces. */
export type NamespaceId = string;
export const NODE_NAMESPACE: NamespaceId = 'node';

/** What one cause (a service, a container, a peer, …) wants to be in one namespace. */
export interface Part {
  readonly items: readonly Item[];
  readonly chains: readonly Chain[];
  readonly elements: readonly Element[];
  /** What the table holds whatever is in it; at most one part of a namespace has it. */
  readonly base?: string;
  /** The same for IPv6, where there is any. */
  readonly base6?: string;
  /** Makes the namespace: switches (path, value) that are set before there is any device. */
  readonly settings?: Readonly<Record<string, number>>;
}

/** What one cause wants, everywhere. No two fragments hold the same key in one namespace. */
export type Fragment = ReadonlyMap<NamespaceId, Part>;

export function part(content: Partial<Part>): Part {
  return { items: [], chains: [], elements: [], ...content };
}

/** Fragments by their cause: `service:<id>`, `sandbox:<id>`, …; the order is the order of making. */
export type Fragments = ReadonlyMap<string, Fragment>;
