import { createHash } from 'node:crypto';
import { codeOf, ShoalError } from '#proto/base/errors.ts';
import { writeLayer } from '../image/write.ts';
import { download, isRemote } from './download.ts';
import type { CopyInstruction } from './language/instructions.ts';
import { copySource } from './sources.ts';
import type { StageBuild } from './stage-build.ts';
import type { CopySourceFile } from './tree-copy.ts';
import type { HashedSource, HashSource } from './tree-hash.ts';
import { destinationIn } from './workdir.ts';

interface Found {
  readonly files: readonly CopySourceFile[];
  readonly hashes: readonly string[];
}

/** COPY and ADD: files of the context, of another stage or image, or of the Dockerfile itself. */
export async function copyStep(stage: StageBuild, instruction: CopyInstruction): Promise<void> {
  const name = instruction.kind.toUpperCase();
  const { folders, signal, modules } = stage.it;
  const source = await sourceRoot(stage, instruction);
  try {
    const found = await findSources(stage, instruction, source.root, name);
    const dest = destinationIn(stage.run.WorkingDir, instruction.dest);
    if (found.files.length > 1 && !dest.endsWith('/')) {
      throw new ShoalError(
        'INVALID_ARGUMENT',
        `When using ${name} with more than one source file, the destination must be a directory and end with a /`,
      );
    }
    const command = stage.comment(`#(nop) ${name} ${commentOf(instruction, found)}`);
    if (await stage.fromCache(command)) return;
    const { store } = modules.images;
    const files = folders.writable(stage.image);
    const root = folders.mount(files.lowers, files);
    await copyInto(stage, instruction, { root, dest, files: found.files });
    folders.unmount(root);
    using lease = store.lease();
    const layer = await writeLayer(store, stage.image, { tree: files.upper, adopt: true }, lease, signal);
    await stage.commit(command, layer);
  } finally {
    source.release();
  }
}

/** The context, or the files of another stage or image. */
async function sourceRoot(
  stage: StageBuild,
  { from }: CopyInstruction,
): Promise<{ root: string; release: () => void }> {
  const { folders } = stage.it;
  if (from === undefined) return { root: folders.context, release: () => undefined };
  const root = folders.mount(folders.lowersOf(await copySource(stage.it, from)));
  return { root, release: () => folders.unmount(root) };
}

async function findSources(
  stage: StageBuild,
  { sources, from, kind }: CopyInstruction,
  root: string,
  name: string,
): Promise<Found> {
  const files: CopySourceFile[] = [];
  const hashes: string[] = [];
  for (const { path, heredoc } of sources) {
    if (heredoc) {
      files.push({ name: heredoc.name, content: heredoc.content });
      hashes.push(`file:${sha256(JSON.stringify([heredoc.name, heredoc.content]))}`);
      continue;
    }
    const isElsewhere = kind === 'add' && isRemote(path);
    const source: HashSource = isElsewhere
      ? await fetched(stage, path)
      : { root, path, isContext: from === undefined };
    for (const found of await hashed(stage, source, name)) {
      files.push({ root: source.root, path: found.path, asIs: isElsewhere });
      hashes.push(found.hash);
    }
  }
  return { files, hashes };
}

/** A file from elsewhere, in a folder of its own. It is looked at again in each build: only its content tells whether it is new. */
async function fetched({ it }: StageBuild, url: string): Promise<HashSource> {
  const folder = it.folders.fresh('download');
  const { progress } = it.output;
  const { name } = await download(url, { folder, progress, signal: it.signal });
  return { root: folder, path: literally(name), isContext: false };
}

/** A name that is no pattern. */
function literally(name: string): string {
  return /[*?[]/.test(name) ? name.replace(/[*?[\\]/g, '\\$&') : name;
}

async function hashed(
  stage: StageBuild,
  source: { root: string; path: string; isContext: boolean },
  name: string,
): Promise<readonly HashedSource[]> {
  const { modules, signal } = stage.it;
  try {
    return (await modules.images.store.pool.run('hash', { sources: [source] }, { signal })).found;
  } catch (error) {
    signal.throwIfAborted();
    const code = codeOf(error);
    if (code === 'INTERNAL') throw error;
    throw new ShoalError('INVALID_ARGUMENT', `${name} failed: ${(error as Error).message}`, { cause: error });
  }
}

/** What is copied, as the history tells it: by the hash of its content. */
function commentOf({ chown, chmod, dest }: CopyInstruction, { hashes }: Found): string {
  const [first, ...more] = hashes;
  const hash = more.length === 0 ? first : `multi:${sha256(hashes.join(','))}`;
  const flags = [
    chown === undefined ? '' : `--chown=${chown} `,
    chmod === undefined ? '' : `--chmod=${chmod} `,
  ];
  return `${flags.join('')}${hash} in ${dest} `;
}

async function copyInto(
  stage: StageBuild,
  { chown, chmod, kind }: CopyInstruction,
  { root, dest, files }: { root: string; dest: string; files: readonly CopySourceFile[] },
): Promise<void> {
  const { modules, signal } = stage.it;
  const args = {
    root,
    dest,
    sources: files,
    unpack: kind === 'add',
    mtime: Math.floor(modules.clock.wallMs() / 1000),
    ...(chown !== undefined && { chown }),
    ...(chmod !== undefined && { chmod }),
  };
  await modules.images.store.pool.run('copy', args, { signal });
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
