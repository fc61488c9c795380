import { chmodSync, lchownSync, mkdirSync, readlinkSync } from 'node:fs';
import { ShoalError } from '#proto/base/errors.ts';
import { pathOf, textOf } from '../tar/entry.ts';
import { copyAttributes, lstatIfThere } from './attributes.ts';

const LINKS_MAX = 40;

/**
 * The folders of a tree that is being written. Links on the way to one are followed as if the tree were the whole file
 * system, so that no name leads out of it. What has been looked at once is remembered: nobody else writes here.
 */
export class FolderMap {
  readonly root: string;
  readonly #lowers: readonly string[];
  readonly #owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly #known = new Map<string, string>();

  /** Names, not text (tar/entry.ts). `owner`: of folders that are in no layer below; absent: us. */
  constructor(
    root: string,
    lowers: readonly string[],
    owner?: { readonly uid: number; readonly gid: number },
  ) {
    this.root = root;
    this.#lowers = lowers;
    this.#owner = owner;
    const [top] = lowers;
    if (top !== undefined) copyAttributes(top, root);
  }

  get hasLowers(): boolean {
    return this.#lowers.length > 0;
  }

  /** Something that was a folder no longer is. */
  forget(): void {
    this.#known.clear();
  }

  /** Where a folder really is; made when it is missing, with the attributes it has in the layers below. */
  ensure(parts: readonly string[]): string {
    if (parts.length === 0) return this.root;
    const key = parts.join('/');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const path = this.#walk(parts);
    this.#known.set(key, path);
    return path;
  }

  #walk(parts: readonly string[]): string {
    const waiting = parts.toReversed();
    const resolved: string[] = [];
    let links = 0;
    for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        resolved.pop();
        continue;
      }
      const target = this.#step(resolved, part);
      if (target === undefined) continue;
      links += 1;
      if (links > LINKS_MAX) throw invalid(`too many links on the way to ${textOf(parts.join('/'))}`);
      if (target.startsWith('/')) resolved.length = 0;
      waiting.push(...target.split('/').reverse());
    }
    return [this.root, ...resolved].join('/');
  }

  /** Goes into a folder, or gives back where the link by that name leads. */
  #step(resolved: string[], part: string): string | undefined {
    const path = [this.root, ...resolved, part].join('/');
    const there = lstatIfThere(path);
    if (there?.isSymbolicLink()) return readlinkSync(pathOf(path), 'latin1');
    if (there !== undefined && !there.isDirectory()) throw invalid(`${textOf(part)} is not a directory`);
    if (there === undefined) this.#make(path, [...resolved, part].join('/'));
    resolved.push(part);
    return undefined;
  }

  #make(path: string, name: string): void {
    mkdirSync(pathOf(path));
    chmodSync(pathOf(path), 0o755);
    if (this.#owner) lchownSync(pathOf(path), this.#owner.uid, this.#owner.gid);
    const below = this.inLowers(name);
    if (below !== undefined && lstatIfThere(below)?.isDirectory()) copyAttributes(below, path);
  }

  /** The topmost layer below that has something by this name, whatever it is. */
  inLowers(name: string): string | undefined {
    for (const lower of this.#lowers) {
      const path = withoutLinks(lower, name.split('/'));
      if (path !== undefined && lstatIfThere(path) !== undefined) return path;
    }
    return undefined;
  }
}

/** The path of a name whose folders are all real ones: a link in there could lead to the machine's own files. */
function withoutLinks(root: string, parts: readonly string[]): string | undefined {
  let path = root;
  for (const [index, part] of parts.entries()) {
    if (index > 0 && !lstatIfThere(path)?.isDirectory()) return undefined;
    path = `${path}/${part}`;
  }
  return path;
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', `archive/tar: ${message}`);
}
