import { once } from 'node:events';
import { createServer } from 'node:net';
import { randomInt, systemRandom } from '#proto/base/random.ts';

/** Below the ports that the kernel gives to whoever connects (ip_local_port_range begins at 32768). */
const [FIRST, LAST] = [20_000, 32_000];
const TRIES_MAX = 50;

/**
 * A port of loopback that nobody listens on, and that no connection takes before its listener is there, or while it
 * is away for a restart.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = FIRST + randomInt(systemRandom, LAST - FIRST);
    if (await isFree(port)) return port;
  }
  throw new Error(`none of ${TRIES_MAX} ports is free`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening');
  } catch {
    return false;
  }
  await once(server.close(), 'close');
  return true;
}
