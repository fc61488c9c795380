import { closedLoop } from './load.ts';
import type { Load } from './member-protocol.ts';
import { PutClient } from './put-client.ts';

const VALUE_BYTES = 256;
const KEYS = 1_000;

/** So many clients that put one value after the other, over one connection. */
export async function putLoad(port: number, clients: number, ms: number): Promise<Load> {
  using client = new PutClient(port);
  let count = 0;
  return await closedLoop(clients, ms, async () => {
    count += 1;
    const done = await client.put(Buffer.from(`k${count % KEYS}`), Buffer.alloc(VALUE_BYTES));
    if (!done) throw new Error('a put was refused');
  });
}
