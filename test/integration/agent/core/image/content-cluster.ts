import type { ExecutionContext } from 'ava';
import { ContentPeers } from '#agent/core/image/content-peers.ts';
import { contentService } from '#agent/core/image/content-service.ts';
import type { ImageStore } from '#agent/core/image/image-store.ts';
import { Images } from '#agent/core/image/images.ts';
import { Turns } from '#agent/core/image/turns.ts';
import { Registries } from '#agent/core/registry/registries.ts';
import { type Clock, systemClock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { seededRandom } from '#proto/base/random.ts';
import type { ReadRequest, TurnRequest } from '#proto/gen/shoal.ts';
import type { CallInfo, Client, Implementation } from '#proto/rpc/types.ts';
import { openStore } from './support.ts';

export interface ContentNode {
  readonly store: ImageStore;
  readonly images: Images;
  /** What it gives, as a node without a name sees it. */
  readonly content: Client<'Content'>;
  /** Digests that this node was asked to give. */
  readonly given: string[];
}

export interface ContentNodeOpts {
  readonly readsMax?: number;
  readonly clock?: Clock;
}

/** Nodes that give each other image content, in one process. There is always one more that is thought to be up, and gone. */
export class ContentCluster {
  readonly nodes = new Map<string, ContentNode>();
  /** Called for each piece that travels; may throw, as a broken line does. */
  onPiece: (address: string) => void = () => undefined;
  readonly #services = new Map<string, Implementation<'Content'>>();

  async add(t: ExecutionContext, address: string, opts: ContentNodeOpts = {}): Promise<ContentNode> {
    const store = await openStore(t);
    const registries = new Registries({}, { clock: systemClock });
    t.teardown(() => registries[Symbol.dispose]());
    const turns = new Turns({ clock: systemClock });
    const peers = new ContentPeers({
      dialer: { client: (_service, to) => this.#seen(address, to) as never },
      nodeId: () => address,
      turns,
      peers: () =>
        [...this.nodes.keys(), 'gone:1']
          .filter((other) => other !== address)
          .map((other) => ({ nodeId: other, address: other })),
      clock: opts.clock ?? systemClock,
      random: seededRandom(address.length + address.charCodeAt(0)),
    });
    const images = new Images({ store, registries, peers });
    this.#services.set(address, contentService(opts, { images, turns }));
    const given: string[] = [];
    const node = { store, images, given, content: this.#client(address, 'test:1', given) };
    this.nodes.set(address, node);
    return node;
  }

  /** One node as another sees it. */
  #seen(from: string, to: string): Client<'Content'> {
    const node = this.nodes.get(to);
    if (!node) return unreachable;
    return { ...node.content, turn: this.#client(to, from, node.given).turn };
  }

  #client(address: string, from: string, given: string[]): Client<'Content'> {
    const service = this.#services.get(address) as Implementation<'Content'>;
    const { signal } = new AbortController();
    const call = { peerAddr: from, signal, peer: { nodeId: from } } as unknown as CallInfo;
    const { onPiece } = { onPiece: (): void => this.onPiece(address) };
    return {
      resolve: async (request) => full(await service.resolve({ reference: request.reference ?? '' }, call)),
      have: async (request) => {
        const reply = await service.have({ digests: [...(request.digests ?? [])] }, call);
        return { digests: [...(reply.digests ?? [])], readsInProgress: reply.readsInProgress ?? 0 };
      },
      turn: async (request) => {
        const { digest = '', failed = false } = request as Partial<TurnRequest>;
        const reply = await service.turn({ digest, failed }, call);
        return { granted: reply.granted ?? false, fetching: [...(reply.fetching ?? [])] };
      },
      async *read(request) {
        given.push(request.digest ?? '');
        const { digest = '', offset = 0, length = 0 } = request as Partial<ReadRequest>;
        for await (const piece of service.read({ digest, offset, length }, call)) {
          onPiece();
          yield { data: piece.data as Uint8Array };
        }
      },
    };
  }
}

function full(reply: object): Awaited<ReturnType<Client<'Content'>['resolve']>> {
  return { found: false, digest: '', mediaType: '', size: 0, platforms: [], ...reply } as never;
}

const down = (): Promise<never> => Promise.reject(new ShoalError('UNAVAILABLE', 'no such node'));
const unreachable: Client<'Content'> = {
  resolve: down,
  have: down,
  turn: down,
  async *read() {
    yield await down();
  },
};
