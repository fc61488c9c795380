import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '#deploy/local/run.ts';
import { IMAGE } from './image.ts';

const FILES = 20;
const FILE_BYTES = 10_000;

/** A Dockerfile and a folder of sources, as an archive. */
export async function buildContext(dockerfile: string): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-bench-context-'));
  try {
    await mkdir(join(folder, 'src'));
    await writeFile(join(folder, 'Dockerfile'), dockerfile);
    for (let at = 0; at < FILES; at++) {
      await writeFile(join(folder, 'src', `file${at}.txt`), `line ${at}\n`.repeat(FILE_BYTES / 10));
    }
    const archive = join(folder, 'context.tar');
    await run(['tar', '-C', folder, '-cf', archive, 'Dockerfile', 'src']);
    return await readFile(archive);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const SETTINGS = [
  'ENV A=1',
  'ENV B=$A',
  'LABEL one=1',
  'EXPOSE 80',
  'VOLUME /data',
  'USER 0',
  'STOPSIGNAL INT',
];
const COPIES = ['WORKDIR /app', 'COPY src /app/src', 'COPY src/file1.txt /app/'];
const RUNS = Array.from({ length: 8 }, (_, at) => `RUN echo ${at} > /out${at}`);

/** Of what people write: settings, files, and commands that make some. */
export const TWENTY_STEPS = [`FROM ${IMAGE}`, ...COPIES, ...RUNS, ...SETTINGS, 'CMD ["sh"]', ''].join('\n');
