import { ShoalError } from '#proto/base/errors.ts';

/** An image in the `manifest.json` of an archive as `docker save` writes it. */
export interface LegacyEntry {
  /** Path of its config in the archive. */
  readonly config: string;
  /** As written there: they may be no references. */
  readonly tags: readonly string[];
  /** Paths of its layers, base first. */
  readonly layers: readonly string[];
}

/** Reads a `manifest.json`; undefined stands for no such file. INVALID_ARGUMENT for any other shape. */
export function legacyEntries(document: unknown): LegacyEntry[] {
  if (document === undefined || document === null) return [];
  if (!Array.isArray(document)) throw invalid('must be a list');
  return document.map(entryOf);
}

function entryOf(item: unknown, index: number): LegacyEntry {
  const { Config: config, RepoTags: tags, Layers: layers } = (item ?? {}) as Record<string, unknown>;
  if (typeof config !== 'string') throw invalid(`entry ${index} has no Config`);
  return {
    config,
    tags: texts(tags, `RepoTags of entry ${index}`),
    layers: texts(layers, `Layers of entry ${index}`),
  };
}

function texts(list: unknown, what: string): string[] {
  if (list === undefined || list === null) return [];
  if (Array.isArray(list) && list.every((text) => typeof text === 'string')) return list;
  throw invalid(`${what} must be a list of strings`);
}

function invalid(what: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', `manifest.json in the archive: ${what}`);
}
