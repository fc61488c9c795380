import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '#deploy/local/run.ts';
import { unmountBelow } from '../engines/leftovers.ts';
import type { Programs } from './peer.ts';

export interface Puller {
  readonly name: string;
  /** Fetches an image by its name and unpacks it below a folder, which has nothing in it. */
  pull(image: string, folder: string): Promise<void>;
}

/** Programs beside engines that bring an image to a machine, in a network namespace. */
export function pullersIn(namespace: string, programs: Programs): Puller[] {
  const inside = (...command: string[]): Promise<string> =>
    run(['nsenter', `--net=/run/netns/${namespace}`, ...command]);
  return [
    {
      name: 'podman',
      pull: async (image, folder) => {
        const places = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run')];
        const words = [...places, '--storage-driver', 'overlay', 'pull', '--quiet', '--tls-verify=false'];
        await inside(programs.path('podman'), ...words, `docker://${image}`);
      },
    },
    {
      name: 'skopeo + umoci',
      pull: async (image, folder) => {
        const layout = join(folder, 'oci');
        const copy = ['copy', '--quiet', '--src-tls-verify=false', `docker://${image}`, `oci:${layout}:1`];
        await inside(programs.path('skopeo'), '--insecure-policy', ...copy);
        await run([programs.path('umoci'), 'unpack', '--image', `${layout}:1`, join(folder, 'bundle')]);
      },
    },
  ];
}

/** Milliseconds that each of them takes, in turn; all is gone afterwards. */
export async function pullMs(pullers: readonly Puller[], image: string, folder: string): Promise<number[]> {
  const took: number[] = [];
  for (const puller of pullers) {
    await mkdir(folder, { recursive: true });
    try {
      const startedAtMs = performance.now();
      await puller.pull(image, folder);
      took.push(performance.now() - startedAtMs);
    } finally {
      await unmountBelow(folder);
      await rm(folder, { recursive: true, force: true });
    }
  }
  return took;
}
