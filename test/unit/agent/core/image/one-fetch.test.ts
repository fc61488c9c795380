import test from 'ava';
import { ContentPeers } from '#agent/core/image/content-peers.ts';
import { contentService } from '#agent/core/image/content-service.ts';
import { sha256Of } from '#agent/core/image/digest.ts';
import { type ContentSource, fromCluster } from '#agent/core/image/source.ts';
import { Turns } from '#agent/core/image/turns.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { seededRandom } from '#proto/base/random.ts';
import type { Client } from '#proto/rpc/types.ts';
import { VirtualClock } from '../../../../support/virtual-clock.ts';

const LAYERS = ['base', 'middle', 'top'].map((name) => sha256Of(name));
const PIECE = Buffer.alloc(64 * 1024);
const PIECES = 10;

interface Node {
  readonly id: string;
  readonly has: Set<string>;
  readonly source: ContentSource;
  readonly service: Client<'Content'>;
  /** Layers that it asked the registry for. */
  fetches: string[];
  isDead: boolean;
}

interface Wish {
  /** How long the registry takes for a piece. */
  readonly pieceMs?: number;
  /** What happens when a node asks the registry for one, after the pieces before. */
  readonly onPiece?: (node: Node, piece: number) => void | Promise<void>;
}

/** Nodes that start at the same moment, with a registry that has all and is asked by each with its own credentials. */
class Cluster {
  readonly clock = new VirtualClock();
  readonly nodes = new Map<string, Node>();
  readonly #wish: Wish;

  constructor(count: number, wish: Wish = {}) {
    this.#wish = wish;
    for (let at = 0; at < count; at++) this.#add(`n${at}`, at);
  }

  #add(id: string, seed: number): void {
    const { clock } = this;
    const turns = new Turns({ clock });
    const peers = new ContentPeers({
      dialer: { client: (_service, address) => this.#reached(id, address) as never },
      nodeId: () => id,
      turns,
      // Those that died just now are still thought to be up.
      peers: () =>
        [...this.nodes.keys()]
          .filter((other) => other !== id)
          .map((other) => ({ nodeId: other, address: other })),
      clock,
      random: seededRandom(seed),
    });
    const has = new Set<string>();
    const images = {
      has: (digest: string) => has.has(digest),
      resolveLocal: () => undefined,
      open: opened(clock, has),
    };
    const service = contentService({}, { images, turns }) as unknown as Client<'Content'>;
    const node: Node = {
      id,
      has,
      service,
      fetches: [],
      isDead: false,
      source: fromCluster(peers, this.#registry(id)),
    };
    this.nodes.set(id, node);
  }

  /** What one node sees of another. */
  #reached(from: string, to: string): Client<'Content'> {
    const alive = (): Client<'Content'> => {
      const node = this.nodes.get(to) as Node;
      if (node.isDead || this.nodes.get(from)?.isDead) throw new ShoalError('UNAVAILABLE', `${to} is gone`);
      return node.service;
    };
    const call = { peerAddr: from, signal: new AbortController().signal } as never;
    const nextTurn = (): Promise<void> => this.clock.sleep(1);
    return {
      have: async (request) => {
        await nextTurn();
        return await alive().have(request, call);
      },
      turn: async (request) => {
        await nextTurn();
        return await alive().turn({ failed: false, ...request }, call);
      },
      async *read(request) {
        await nextTurn();
        for await (const message of alive().read({ length: 0, ...request }, call)) {
          alive();
          yield message;
        }
      },
      resolve: () => Promise.reject(new ShoalError('NOT_IMPLEMENTED', 'not asked for')),
    };
  }

  #registry(id: string): ContentSource {
    const { clock } = this;
    const { pieceMs = 10, onPiece } = this.#wish;
    const blob = async (digest: string, offset: number): Promise<AsyncIterable<Uint8Array>> => {
      const node = this.nodes.get(id) as Node;
      node.fetches.push(digest);
      await clock.sleep(pieceMs);
      await onPiece?.(node, 0);
      return (async function* () {
        for (let piece = offset / PIECE.length; piece < PIECES; piece++) {
          await clock.sleep(pieceMs);
          await onPiece?.(node, piece);
          yield PIECE;
        }
      })();
    };
    return { blob, document: () => Promise.reject(new ShoalError('NOT_FOUND', 'no documents here')) };
  }

  /** Every node pulls all layers, with a second try after a failure; gives what each failed with, if it did. */
  async rollOut(): Promise<(unknown | undefined)[]> {
    let isDone = false;
    const all = [...this.nodes.values()].map((node) =>
      this.#pull(node).then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    const done = Promise.all(all).finally(() => {
      isDone = true;
    });
    while (!isDone) await this.clock.advance(100);
    return await done;
  }

  async #pull(node: Node): Promise<void> {
    for (const layer of LAYERS) {
      let size = 0;
      for (let attempt = 0; size < PIECES * PIECE.length; attempt++) {
        try {
          for await (const chunk of await node.source.blob(layer, size)) size += chunk.length;
        } catch (error) {
          if (node.isDead || attempt > 0) throw error;
          await this.clock.sleep(500);
        }
      }
      node.has.add(layer);
    }
  }

  /** How often the registry was asked for a layer, by layer. */
  get fetched(): number[] {
    const fetches = [...this.nodes.values()].flatMap((node) => node.fetches);
    return LAYERS.map((layer) => fetches.filter((digest) => digest === layer).length);
  }
}

function opened(clock: VirtualClock, has: ReadonlySet<string>) {
  return async function* (digest: string, offset: number): AsyncGenerator<Uint8Array> {
    if (!has.has(digest)) throw new ShoalError('NOT_FOUND', 'not here');
    for (let at = offset / PIECE.length; at < PIECES; at++) {
      await clock.sleep(1);
      yield PIECE;
    }
  };
}

const isWhole = ({ has }: Node): boolean => LAYERS.every((layer) => has.has(layer));

test('roll-out: of many nodes that start together, one fetches from the registry, the others from it', async (t) => {
  const cluster = new Cluster(50);
  t.deepEqual(new Set(await cluster.rollOut()), new Set([undefined]));
  t.true([...cluster.nodes.values()].every(isWhole));
  t.deepEqual(cluster.fetched, [1, 1, 1]);
});

test('roll-out: a fetch that takes long and goes on is not begun again by others', async (t) => {
  const cluster = new Cluster(20, { pieceMs: 4_000 });
  await cluster.rollOut();
  t.deepEqual(cluster.fetched, [1, 1, 1]);
});

test('roll-out: when the node that fetches dies, another takes its place', async (t) => {
  let deaths = 0;
  const cluster = new Cluster(40, {
    onPiece: (node, piece) => {
      if (piece !== 5 || deaths >= 2) return;
      deaths += 1;
      node.isDead = true;
      throw new ShoalError('UNAVAILABLE', 'died');
    },
  });
  await cluster.rollOut();
  t.is(deaths, 2);
  t.true([...cluster.nodes.values()].every((node) => node.isDead || isWhole(node)));
  t.true(Math.max(...cluster.fetched) <= 3, cluster.fetched.join());
});

test('roll-out: a node for which the registry stands still in the middle is not waited for', async (t) => {
  const goesOn = Promise.withResolvers<void>();
  let stalled: Node | undefined;
  const cluster = new Cluster(20, {
    onPiece: async (node, piece) => {
      if (piece !== 5 || (stalled && stalled !== node)) return;
      stalled = node;
      await goesOn.promise;
    },
  });
  const running = cluster.rollOut();
  const others = (): Node[] => [...cluster.nodes.values()].filter((node) => node !== stalled);
  while (!others().every(isWhole)) await new Promise((resolve) => setImmediate(resolve));
  t.truthy(stalled);
  goesOn.resolve();
  await running;
  t.deepEqual(cluster.fetched, [2, 1, 1]);
});

test('roll-out: nodes that the registry does not let in do not keep those from it that it does', async (t) => {
  const refused = new ShoalError('FORBIDDEN', 'denied');
  const isRefused = ({ id }: Node): boolean => id.endsWith('7');
  const cluster = new Cluster(50, {
    onPiece: (node) => {
      if (isRefused(node)) throw refused;
    },
  });
  const failures = await cluster.rollOut();
  t.true(failures.every((error) => error === undefined || error === refused));
  t.true([...cluster.nodes.values()].every((node) => isRefused(node) || isWhole(node)));
  const fetches = [...cluster.nodes.values()].flatMap((node) => (isRefused(node) ? [] : node.fetches));
  t.true(fetches.length <= 2 * LAYERS.length, `${fetches.length} fetches by nodes that could`);
});

test('roll-out: where the registry is down all are told so, and none waits for ever', async (t) => {
  const down = new ShoalError('UNAVAILABLE', 'connection refused');
  const cluster = new Cluster(50, {
    onPiece: () => {
      throw down;
    },
  });
  const failures = await cluster.rollOut();
  t.true(failures.every((error) => error === down));
  t.true(cluster.clock.monotonicMs() < 120_000, `${cluster.clock.monotonicMs()} ms`);
});

test('roll-out: nodes that are gone and keep the turns do not keep the others from fetching', async (t) => {
  const cluster = new Cluster(40);
  for (const node of [...cluster.nodes.values()].slice(0, 15)) node.isDead = true;
  await cluster.rollOut();
  const alive = [...cluster.nodes.values()].filter(({ isDead }) => !isDead);
  t.true(alive.every(isWhole));
  const asked = alive.flatMap(({ fetches }) => fetches);
  t.is(asked.length, LAYERS.length, 'once for each layer');
});
