import type { PortBinding } from '../net/node-network.ts';
import type { ContainerState, CreateRequest } from './container-types.ts';

/*
 * The container core as its users see it: the Engine API of this machine (agent/api) and the executor of tasks
 * (agent/exec/container). It stands on its own, with no cluster anywhere. Failures are ShoalErrors with Docker's words.
 */

export interface ContainerSummary {
  /** 64 hex digits. */
  readonly id: string;
  /** Without the slash. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: ContainerState;
  /** First of its mesh addresses, where it has any. */
  readonly meshAddr?: string;
  /** Published on this node, with the host ports that were chosen. */
  readonly ports: readonly PortBinding[];
}

export interface ContainerExit {
  readonly exitCode: number;
  readonly error?: string;
  readonly oomKilled: boolean;
}

/** How `docker wait` waits. */
export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

export interface LogOpts {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  /** Wall clock in nanoseconds. */
  readonly sinceNs?: bigint;
  readonly untilNs?: bigint;
  /** Last lines only. */
  readonly tail?: number;
}

export interface LogRecord {
  readonly stream: 'stdout' | 'stderr';
  /** RFC 3339 with nanoseconds, UTC. */
  readonly at: string;
  /** One line with its newline, or a part of one without. */
  readonly data: Buffer;
}

/** A network of the cluster that a container of this request is on, beside those the engine keeps itself. */
export interface ClusterAttachment {
  readonly networkId: string;
  readonly networkName: string;
  readonly address: string;
  readonly aliases: readonly string[];
}

/** What a task's container has beyond what users may ask of `docker run`. */
export interface TaskExtras {
  readonly attachments: readonly ClusterAttachment[];
  /** Its service publishes ports through the mesh. */
  readonly mesh: boolean;
}

export interface Containers {
  /** Makes a container. NOT_FOUND `No such image: …`, CONFLICT for a name in use; nothing is half-made. */
  create(
    name: string | undefined,
    request: CreateRequest,
    extras?: TaskExtras,
  ): Promise<{ id: string; warnings: string[] }>;
  /** NOT_MODIFIED when it runs already. */
  start(idOrName: string): Promise<void>;
  /** Stop signal, then SIGKILL after the grace period. NOT_MODIFIED when it does not run. */
  stop(idOrName: string, opts?: { signal?: string; graceMs?: number }): Promise<void>;
  kill(idOrName: string, signal: string): Promise<void>;
  remove(idOrName: string, opts?: { force?: boolean; volumes?: boolean }): Promise<void>;
  wait(idOrName: string, condition: WaitCondition, signal?: AbortSignal): Promise<ContainerExit>;
  /** Resolves when its health is known and good; at once without a health check. Throws when it ends or fails. */
  healthy(idOrName: string, signal: AbortSignal): Promise<void>;
  /** Resolves when its health check has failed too often (`unhealthy`); rejects when the signal aborts. */
  becameUnhealthy(idOrName: string, signal: AbortSignal): Promise<void>;
  summary(idOrName: string): ContainerSummary;
  /** All that carry this label, with this value when given. */
  withLabel(label: string, value?: string): ContainerSummary[];
  logs(idOrName: string, opts: LogOpts, signal?: AbortSignal): AsyncIterable<LogRecord>;
}

/** Where an image came from or is to come from. */
export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
  readonly serveraddress?: string;
}

/** What an image reference stands for at this moment. */
export interface ResolvedImage {
  /** Digest of the manifest or index. */
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
  readonly platforms: readonly {
    readonly architecture: string;
    readonly os: string;
    readonly variant?: string;
  }[];
  /** What a node remembers of a tag that came from a registry, where it may stand for something else by now. */
  readonly mayHaveMoved?: boolean;
}

/** A node's turn to fetch a blob from a registry, while others wait for what it brings. */
export interface FetchTurn {
  /** Bytes have come: without that the turn ends soon. */
  moved(): void;
  /** It can't be fetched from here: another node may try at once. */
  failed(): void;
}

/** What other nodes give, and which; or the right to fetch it. */
export type PeerContent =
  | { readonly chunks: AsyncIterable<Uint8Array>; readonly from: readonly string[] }
  | { readonly turn: FetchTurn };

export interface PeerReadOpts {
  /** Of the whole blob, where that is known. */
  readonly size?: number | undefined;
  /** Ids of nodes that are not asked: they gave something else. */
  readonly except?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** Other nodes as a source of image content; the cluster part of this node provides it. */
export interface ContentPeers {
  /** Asks every node that is up; the first that knows the reference answers. */
  resolve(reference: string, signal?: AbortSignal): Promise<ResolvedImage | undefined>;
  /**
   * The blob with this digest, from `offset` on, from a node that has it; else, once it is this node's turn, the right to
   * fetch it from elsewhere. The caller checks the digest.
   */
  read(digest: string, offset: number, opts?: PeerReadOpts): Promise<PeerContent>;
}

export interface Images {
  /** Digest and platforms: of what was made on this node or a peer from there, else from the registry. NOT_FOUND / UNAVAILABLE with Docker's words. */
  resolve(reference: string, auth?: RegistryAuth, signal?: AbortSignal): Promise<ResolvedImage>;
  /** Makes sure that the image is here, unpacked and ready to run. */
  ensure(reference: string, auth?: RegistryAuth, signal?: AbortSignal): Promise<void>;
  /** What a node gives its peers (proto/content.proto). */
  has(digest: string): boolean;
  open(digest: string, offset: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  resolveLocal(reference: string): ResolvedImage | undefined;
}
