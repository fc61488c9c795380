import type { Services } from '../gen/shoal.ts';
import type { ClusterId, NodeId } from '../types/ids.ts';
import type { NodeRole } from '../types/states.ts';
import type { Input } from './codec.ts';

/** Who is on the other end, as its certificate says: CN = node id, OU = role, O = cluster id. */
export interface PeerIdentity {
  readonly nodeId: NodeId;
  readonly role: NodeRole;
  readonly clusterId: ClusterId;
}

/** A node's own identity, PEM. Replaced as a whole when the certificate is renewed or the roots change. */
export interface TlsIdentity {
  readonly certificate: string;
  readonly key: string;
  /** Every root that is trusted at the moment. */
  readonly roots: string;
}

/** Holds the current identity and tells when it changes; servers and channels follow it without a restart. */
export interface IdentitySource {
  current(): TlsIdentity;
  /** Calls back after each change; the returned function ends that. */
  onChange(changed: (identity: TlsIdentity) => void): () => void;
}

/** Who may call a method: `anyone` needs no certificate, `node` any of the cluster, `manager` only managers. */
export type Access = 'anyone' | 'node' | 'manager';

export interface CallInfo {
  /** Absent only where access is `anyone` and no certificate was shown. */
  readonly peer?: PeerIdentity;
  /** The other end's address, host:port. */
  readonly peerAddr: string;
  /** Aborts when the call ends for any reason. */
  readonly signal: AbortSignal;
}

type Method = { request: unknown; response: unknown; requestStream: boolean; responseStream: boolean };

type Handler<M extends Method> = M extends { requestStream: true; responseStream: true }
  ? (requests: AsyncIterable<M['request']>, call: CallInfo) => AsyncIterable<Input<M['response']>>
  : M extends { responseStream: true }
    ? (request: M['request'], call: CallInfo) => AsyncIterable<Input<M['response']>>
    : (request: M['request'], call: CallInfo) => Promise<Input<M['response']>>;

export type ServiceName = keyof Services;

type MethodsOf<Name extends ServiceName> = Services[Name];

/** A service as its server writes it: `session(requests, call)`. Failures are thrown as ShoalError. */
export type Implementation<Name extends ServiceName> = {
  readonly [M in keyof MethodsOf<Name> & string as Uncapitalize<M>]: MethodsOf<Name>[M] extends Method
    ? Handler<MethodsOf<Name>[M]>
    : never;
};

export interface CallOpts {
  readonly signal?: AbortSignal;
  /** For calls with one answer; streams have none unless given. */
  readonly timeoutMs?: number;
}

type Call<M extends Method> = M extends { requestStream: true; responseStream: true }
  ? (requests: AsyncIterable<Input<M['request']>>, opts?: CallOpts) => AsyncIterable<M['response']>
  : M extends { responseStream: true }
    ? (request: Input<M['request']>, opts?: CallOpts) => AsyncIterable<M['response']>
    : (request: Input<M['request']>, opts?: CallOpts) => Promise<M['response']>;

/** A service as its client sees it. Failures arrive as ShoalError with the code the server threw. */
export type Client<Name extends ServiceName> = {
  readonly [M in keyof MethodsOf<Name> & string as Uncapitalize<M>]: MethodsOf<Name>[M] extends Method
    ? Call<MethodsOf<Name>[M]>
    : never;
};

/** Connections to other nodes, one a peer address, made when first used and kept. */
export interface RpcDialer {
  /**
   * A client of a service at host:port. `expect` is the role the other end's certificate must have (`node`: either);
   * `anyone` shows and checks no certificate: for a joining node, which checks the root by its token.
   */
  client<Name extends ServiceName>(
    service: Name,
    addr: string,
    expect: NodeRole | 'node' | 'anyone',
  ): Client<Name>;
}

/** The services a node offers at one address. */
export interface RpcServer extends AsyncDisposable {
  /** Adds a service; before or after listening. `access` holds for each of its methods. */
  add<Name extends ServiceName>(service: Name, access: Access, implementation: Implementation<Name>): void;
  /** Takes a service away again: calls under way are ended, new ones get UNAVAILABLE. */
  remove(service: ServiceName): void;
  /** The port that is listened on. */
  readonly port: number;
}
