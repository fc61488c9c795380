import type { ContentPeers, PeerContent, PeerReadOpts, ResolvedImage } from '#agent/core/engine.ts';
import { NO_TURN } from '#agent/core/image/turns.ts';

/** Other nodes as a source of images: nobody while this node is alone, the swarm's while it is in one. */
export class PeersSwitch implements ContentPeers {
  #peers: ContentPeers | undefined;

  set(peers: ContentPeers | undefined): void {
    this.#peers = peers;
  }

  async resolve(reference: string, signal?: AbortSignal): Promise<ResolvedImage | undefined> {
    return this.#peers?.resolve(reference, signal);
  }

  async read(digest: string, offset: number, opts?: PeerReadOpts): Promise<PeerContent> {
    return (await this.#peers?.read(digest, offset, opts)) ?? { turn: NO_TURN };
  }
}
