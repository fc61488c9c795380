import test from 'ava';
import { ContentPeers } from '#agent/core/image/content-peers.ts';
import { contentService } from '#agent/core/image/content-service.ts';
import { sha256Of } from '#agent/core/image/digest.ts';
import { Turns } from '#agent/core/image/turns.ts';
import { seededRandom } from '#proto/base/random.ts';
import type { Client, RpcDialer } from '#proto/rpc/types.ts';
import { VirtualClock } from '../../../../support/virtual-clock.ts';

const LAYERS = ['base', 'middle', 'top'].map((name) => sha256Of(name));
const PIECES = 16;
/** What it takes a node to send a piece when it sends nothing else. */
const PIECE_MS = 10;
const PIECE = Buffer.alloc(64 * 1024);
const ALONE_MS = LAYERS.length * PIECES * PIECE_MS;

interface Node {
  readonly has: Set<string>;
  readonly peers: ContentPeers;
  /** Layers that it has given as a whole. */
  given: number;
}

/** Nodes whose lines out are what limits them; everything that one sends at a time shares its line. */
class Cluster {
  readonly clock = new VirtualClock();
  readonly nodes = new Map<string, Node>();
  readonly #clients = new Map<string, Client<'Content'>>();
  /** Layers that went from one place to another. */
  travelled = 0;
  /** Milliseconds on top, to and from every node of another place. */
  readonly #farMs: number;

  constructor(count: number, opts: { readonly farMs?: number } = {}) {
    this.#farMs = opts.farMs ?? 0;
    for (let at = 0; at < count; at++) this.#add(`n${at}:1`, at);
  }

  #add(address: string, seed: number): void {
    const dialer: RpcDialer = { client: (_service, to) => this.#linked(address, to) as never };
    const turns = new Turns(this);
    const peers = new ContentPeers({
      dialer,
      nodeId: () => address,
      turns,
      peers: () =>
        [...this.nodes.keys()]
          .filter((other) => other !== address)
          .map((other) => ({ nodeId: other, address: other })),
      clock: this.clock,
      random: seededRandom(seed),
    });
    const node: Node = { has: new Set(), peers, given: 0 };
    this.nodes.set(address, node);
    this.#clients.set(address, this.#serve(node, turns));
  }

  #serve(node: Node, turns: Turns): Client<'Content'> {
    const { clock } = this;
    let sending = 0;
    const images = {
      has: (digest: string) => node.has.has(digest),
      resolveLocal: () => undefined,
      async *open(_digest: string, offset: number) {
        sending += 1;
        try {
          for (let at = offset / PIECE.length; at < PIECES; at++) {
            await clock.sleep(PIECE_MS * sending);
            yield PIECE;
          }
          node.given += 1;
        } finally {
          sending -= 1;
        }
      },
    };
    const service = contentService({}, { images, turns });
    const call = { peerAddr: 'test:1', signal: new AbortController().signal };
    return {
      have: (request: object) => service.have(request as never, call),
      turn: (request: object) => service.turn(request as never, call),
      read: (request: object) => service.read(request as never, call),
    } as never;
  }

  #linked(from: string, to: string): Client<'Content'> {
    const client = this.#clients.get(to) as Client<'Content'>;
    const isFar = placeOf(from) !== placeOf(to);
    const { clock } = this;
    const told = (): void => {
      if (isFar) this.travelled += 1;
    };
    return {
      ...client,
      have: async (request, opts) => {
        await clock.sleep(1 + (isFar ? this.#farMs : 0));
        return await client.have(request, opts);
      },
      read: (request, opts) => tellingFirst(client.read(request, opts), told),
    };
  }

  /** All but the first want what the first has; gives the milliseconds until the last has got it. */
  async rollOut(): Promise<number> {
    const [origin, ...others] = [...this.nodes.values()];
    for (const layer of LAYERS) origin?.has.add(layer);
    let isDone = false;
    const startedAtMs = this.clock.monotonicMs();
    const done = Promise.all(others.map((node) => this.#pull(node))).finally(() => {
      isDone = true;
    });
    while (!isDone) await this.clock.advance(PIECE_MS * 10);
    await done;
    return this.clock.monotonicMs() - startedAtMs;
  }

  async #pull(node: Node): Promise<void> {
    await Promise.all(
      LAYERS.map(async (layer) => {
        const found = await node.peers.read(layer, 0);
        if ('turn' in found) throw new Error(`the registry would be asked for ${layer}`);
        for await (const chunk of found.chunks) void chunk;
        node.has.add(layer);
      }),
    );
  }
}

/** Says when something has come. */
async function* tellingFirst<T>(chunks: AsyncIterable<T>, told: () => void): AsyncGenerator<T> {
  let isFirst = true;
  for await (const chunk of chunks) {
    if (isFirst) told();
    isFirst = false;
    yield chunk;
  }
}

/** Half of the nodes are in one place, half in another. */
function placeOf(address: string): number {
  return Number(/\d+/.exec(address)?.[0]) % 2;
}

test('roll-out: many nodes that want the same image share the work of giving it', async (t) => {
  const cluster = new Cluster(50);
  const tookMs = await cluster.rollOut();
  const given = [...cluster.nodes.values()].map((node) => node.given);
  const all = 49 * LAYERS.length;
  t.is(
    given.reduce((sum, count) => sum + count, 0),
    all,
    'nothing is sent twice',
  );
  t.true(Math.max(...given) <= all / 7, `one node gave ${Math.max(...given)} of ${all}`);
  t.true(given.filter((count) => count > 0).length >= 35, 'most of those that have it give it');
  t.true(tookMs <= 49 * ALONE_MS * 0.2, `${tookMs} ms, where one alone takes ${49 * ALONE_MS}`);
});

test('roll-out: an image travels to another place a few times, not once for each node there', async (t) => {
  const cluster = new Cluster(40, { farMs: 100 });
  await cluster.rollOut();
  const all = 39 * LAYERS.length;
  t.true(cluster.travelled <= all / 3, `${cluster.travelled} of ${all} came from the other place`);
});
