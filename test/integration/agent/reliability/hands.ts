import type { EngineClient } from '#deploy/cli/engine-client.ts';
import { type Random, randomInt } from '#proto/base/random.ts';
import { IMAGE, OBEDIENT } from '../../../bench/engines/image.ts';

/** What hands work with. */
export interface Work {
  readonly client: EngineClient;
  readonly random: Random;
  /** An image that can be pulled. */
  readonly reference: string;
  /** A folder with a Dockerfile, as a tar archive. */
  readonly context: Uint8Array;
  readonly isOver: () => boolean;
}

/** Lives of containers, one after the other, with an exec now and then, each ended in one of several ways. */
export async function keepContainers({ client, random, isOver }: Work): Promise<void> {
  while (!isOver()) {
    const NetworkMode = randomInt(random, 3) === 0 ? 'none' : 'bridge';
    const body = { Image: IMAGE, Cmd: OBEDIENT, HostConfig: { NetworkMode }, Volumes: { '/kept': {} } };
    const { Id: id } = await client.call<{ Id: string }>('POST', '/containers/create', { body });
    await client.call('POST', `/containers/${id}/start`);
    if (randomInt(random, 2) === 0) await execTrue(client, id);
    if (randomInt(random, 2) === 0) await client.call('POST', `/containers/${id}/stop`);
    await client.call('DELETE', `/containers/${id}`, { query: { force: '1', v: '1' } });
  }
}

async function execTrue(client: EngineClient, id: string): Promise<void> {
  const { Id: exec } = await client.call<{ Id: string }>('POST', `/containers/${id}/exec`, {
    body: { Cmd: ['true'] },
  });
  await client.call('POST', `/exec/${exec}/start`, { body: { Detach: true } });
}

/** Pulls an image and removes it, again and again. */
export async function keepPulling({ client, reference, isOver }: Work): Promise<void> {
  while (!isOver()) {
    await drain(client.lines('POST', '/images/create', { query: { fromImage: reference } }));
    await client.call('DELETE', `/images/${reference}`, { query: { force: '1' } });
  }
}

/** Builds an image from nothing, again and again. */
export async function keepBuilding({ client, context, isOver }: Work): Promise<void> {
  while (!isOver()) {
    const content = { type: 'application/x-tar', data: context };
    await drain(client.lines('POST', '/build', { query: { nocache: '1', t: 'built:1' }, content }));
  }
}

async function drain(lines: AsyncIterable<unknown>): Promise<void> {
  for await (const line of lines) {
    const { error } = line as { error?: string };
    if (error !== undefined) throw new Error(error);
  }
}
