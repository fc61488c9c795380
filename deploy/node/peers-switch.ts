import type { ContentPeers, ResolvedImage } from '#agent/core/engine.ts';

/** Other nodes as a source of images: nobody while this node is alone, the swarm's while it is in one. */
export class PeersSwitch implements ContentPeers {
  #peers: ContentPeers | undefined;

  set(peers: ContentPeers | undefined): void {
    this.#peers = peers;
  }

  async resolve(reference: string, signal?: AbortSignal): Promise<ResolvedImage | undefined> {
    return this.#peers?.resolve(reference, signal);
  }

  async read(
    digest: string,
    offset: number,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    return this.#peers?.read(digest, offset, signal);
  }
}
