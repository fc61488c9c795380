import * as grpc from '@grpc/grpc-js';
import type { Clock } from '../base/clock.ts';
import { messageOf, ShoalError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { ClusterId } from '../types/ids.ts';
import { type Calls, serve } from './calls.ts';
import { methodsOf, SERVICE_NAMES } from './methods.ts';
import { identityOf, serverCredentials } from './tls.ts';
import type {
  Access,
  IdentitySource,
  Implementation,
  PeerIdentity,
  RpcServer,
  ServiceName,
} from './types.ts';

export interface RpcServerOpts {
  /** Address to listen on, without port. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** How long calls under way may take to end when the server is disposed. */
  readonly stopGraceMs?: number;
}

export interface RpcServerModules {
  readonly identity: IdentitySource;
  readonly clock: Pick<Clock, 'timer'>;
  readonly log: Log;
  /** Whether the cluster still knows this node: one that was removed is refused, whatever its certificate says. */
  readonly accepts?: (peer: PeerIdentity) => boolean;
}

const STOP_GRACE_MS = 1_000;
/** Silence after which a connection is probed, and how long the answer may take. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** Connections that nobody uses are closed. */
const IDLE_MS = 10 * 60_000;
/** Calls at one time on one connection. */
const STREAMS_MAX = 1_000;

// The library prints to stderr by itself; whatever matters to us arrives as a failure.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

/** Listens for other nodes. Connections are mTLS, except that a service may allow callers without a certificate. */
export async function listenRpc(opts: RpcServerOpts, modules: RpcServerModules): Promise<RpcServer> {
  const server = new GrpcServer(opts, modules);
  await server.listen();
  return server;
}

class GrpcServer implements RpcServer {
  readonly #opts: RpcServerOpts;
  readonly #modules: RpcServerModules;
  readonly #server = new grpc.Server({
    'grpc.max_receive_message_length': LIMITS.grpcMessageBytesMax,
    'grpc.max_send_message_length': LIMITS.grpcMessageBytesMax,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.max_connection_idle_ms': IDLE_MS,
    'grpc.max_concurrent_streams': STREAMS_MAX,
    'grpc.enable_channelz': 0,
  });
  readonly #services = new Map<ServiceName, Calls>();
  #port = 0;
  #clusterId: ClusterId;
  readonly #unfollow: () => void;
  #stopped: Promise<void> | undefined;

  constructor(opts: RpcServerOpts, modules: RpcServerModules) {
    this.#opts = opts;
    this.#modules = modules;
    this.#clusterId = identityOf(modules.identity.current().certificate).clusterId;
    this.#unfollow = modules.identity.onChange(({ certificate }) => {
      this.#clusterId = identityOf(certificate).clusterId;
    });
    for (const service of SERVICE_NAMES) this.#register(service);
  }

  get port(): number {
    return this.#port;
  }

  async listen(): Promise<void> {
    const { host, port } = this.#opts;
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const credentials = serverCredentials(this.#modules.identity);
    this.#port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, bound) => {
        if (error === null) resolve(bound);
        else reject(new ShoalError('UNAVAILABLE', `can't listen on ${address}: ${messageOf(error)}`));
      });
    });
  }

  add<Name extends ServiceName>(service: Name, access: Access, implementation: Implementation<Name>): void {
    this.remove(service);
    this.#services.set(service, {
      access,
      handlers: implementation as Calls['handlers'],
      underWay: new Set(),
    });
  }

  remove(service: ServiceName): void {
    const calls = this.#services.get(service);
    this.#services.delete(service);
    for (const call of calls?.underWay ?? []) call.abort(notOffered(service));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    for (const service of SERVICE_NAMES) this.remove(service);
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    const graceMs = this.#opts.stopGraceMs ?? STOP_GRACE_MS;
    const cancel = this.#modules.clock.timer(graceMs, () => this.#server.forceShutdown());
    await closed;
    cancel();
    this.#unfollow();
  }

  /** Every service there could be is registered, so that one that is absent is "not now" rather than "never". */
  #register(service: ServiceName): void {
    const definition: Record<string, grpc.MethodDefinition<Buffer, Buffer>> = {};
    const handlers: Record<string, grpc.UntypedHandleCall> = {};
    for (const method of methodsOf(service)) {
      definition[method.name] = { ...method, ...AS_THEY_ARE };
      handlers[method.name] = serve(method, {
        calls: () => {
          const calls = this.#services.get(service);
          if (calls === undefined) throw notOffered(service);
          return calls;
        },
        clusterId: () => this.#clusterId,
        ...this.#modules,
      });
    }
    this.#server.addService(definition, handlers);
  }
}

/** Bytes pass the library unread: nothing of a caller is decoded before it is known who calls. */
const AS_THEY_ARE = {
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
} as const;

function notOffered(service: ServiceName): ShoalError {
  return new ShoalError('UNAVAILABLE', `this node does not offer ${service} at the moment`);
}
