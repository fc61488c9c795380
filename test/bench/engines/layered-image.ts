import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { run } from '#deploy/local/run.ts';
import type { Programs } from '../peers/peer.ts';

/** Real programs and libraries, so that they compress as those of images do. */
const SOURCES = ['/usr/lib', '/usr/share', '/usr/bin'];
const LAYERS = 5;
const LAYER_BYTES = 30 * 1024 * 1024;
/** A single file that is larger would be a layer by itself. */
const FILE_BYTES_MAX = 8 * 1024 * 1024;

export const LAYERED = 'bench/layers:1';

/** Makes an image of about 150 MB in several layers of this machine's own files, and gives it to a registry. */
export async function seedLayeredImage(folder: string, host: string, programs: Programs): Promise<void> {
  await mkdir(folder, { recursive: true });
  try {
    const layers: string[] = [];
    for (const files of await shares()) layers.push(await layerOf(folder, layers.length, files));
    const archive = await archiveOf(folder, layers);
    const target = `docker://${host}/${LAYERED}`;
    const copy = ['copy', '--quiet', '--dest-tls-verify=false', `docker-archive:${archive}`, target];
    await run([programs.path('skopeo'), '--insecure-policy', ...copy]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The files of each layer with the folders they are in, relative to the root; the same at each run on the same machine. */
async function shares(): Promise<string[][]> {
  return (await fileShares()).map((files) => [...new Set(files.flatMap(foldersOf)), ...files]);
}

/** Outermost first. */
function foldersOf(file: string): string[] {
  const folder = dirname(file);
  return folder === '.' ? [] : [...foldersOf(folder), folder];
}

async function fileShares(): Promise<string[][]> {
  const found: string[][] = [[]];
  let bytes = 0;
  for await (const { path, size } of filesIn(SOURCES)) {
    found.at(-1)?.push(relative('/', path));
    bytes += size;
    if (bytes < LAYER_BYTES) continue;
    if (found.length === LAYERS) return found;
    found.push([]);
    bytes = 0;
  }
  return found;
}

async function* filesIn(folders: readonly string[]): AsyncGenerator<{ path: string; size: number }> {
  for (const folder of folders) {
    const entries = await readdir(folder, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) yield* filesIn([path]);
      if (!entry.isFile()) continue;
      const { size } = await stat(path);
      if (size <= FILE_BYTES_MAX) yield { path, size };
    }
  }
}

/** The name of the layer's archive in the folder. */
async function layerOf(folder: string, index: number, files: readonly string[]): Promise<string> {
  const list = join(folder, 'files');
  await writeFile(list, files.join('\0'));
  const name = `layer${index}.tar`;
  const plain = ['--numeric-owner', '--format=pax', '--hard-dereference', '--no-recursion'];
  await run(['tar', '-C', '/', ...plain, '--null', '-T', list, '-cf', join(folder, name)]);
  return name;
}

/** An archive as `docker save` writes it. */
async function archiveOf(folder: string, layers: readonly string[]): Promise<string> {
  const diffIds: string[] = [];
  for (const layer of layers) diffIds.push(await digestOf(join(folder, layer)));
  const config = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: diffIds } };
  const manifest = [{ Config: 'config.json', RepoTags: [LAYERED], Layers: layers }];
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
  const archive = join(folder, 'image.tar');
  await run(['tar', '-C', folder, '-cf', archive, 'config.json', 'manifest.json', ...layers]);
  return archive;
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return `sha256:${hash.digest('hex')}`;
}
