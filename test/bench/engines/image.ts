import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EngineClient } from '#deploy/cli/engine-client.ts';
import { run } from '#deploy/local/run.ts';

export const IMAGE = 'shoal-bench:1';
/** Does nothing until it is told to end, which it does at once: a bare sleep as first process would ignore the signal. */
export const OBEDIENT = ['/bin/obedient'];

/** Debian's busybox-static. */
const BUSYBOX = '/bin/busybox';
const OBEDIENT_SCRIPT = `#!/bin/sh
trap 'exit 0' TERM
sleep 1000000 &
wait $!
`;

/** The root of a small image as a tar archive; every engine measured gets the same. */
export async function imageRoot(): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-bench-image-'));
  try {
    const bin = join(folder, 'root', 'bin');
    await mkdir(bin, { recursive: true });
    await copyFile(BUSYBOX, join(bin, 'busybox'));
    for (const applet of ['sh', 'sleep', 'true']) await symlink('busybox', join(bin, applet));
    await writeFile(join(bin, 'obedient'), OBEDIENT_SCRIPT, { mode: 0o755 });
    const archive = join(folder, 'root.tar');
    await run(['tar', '-C', join(folder, 'root'), '-cf', archive, '.']);
    return await readFile(archive);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Imports the root as the image that services run. */
export async function importImage(client: EngineClient, root: Uint8Array): Promise<void> {
  const [repo, tag] = IMAGE.split(':') as [string, string];
  const lines = client.lines<{ error?: string }>('POST', '/images/create', {
    query: { fromSrc: '-', repo, tag },
    content: { type: 'application/x-tar', data: root },
  });
  for await (const { error } of lines)
    if (error !== undefined) throw new Error(`importing ${IMAGE}: ${error}`);
}
