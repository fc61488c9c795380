import * as grpc from '@grpc/grpc-js';
import { LIMITS } from '../base/limits.ts';
import type { NodeRole } from '../types/states.ts';
import { invoke } from './invoke.ts';
import { methodsOf } from './methods.ts';
import { channelCredentials, serverName } from './tls.ts';
import type { Client, IdentitySource, RpcDialer, ServiceName } from './types.ts';

export interface RpcDialerOpts {
  /** Connections kept; beyond these the one that was used longest ago is closed. */
  readonly channelsMax?: number;
}

export interface RpcDialerModules {
  /** Absent: only `anyone` can be dialled. */
  readonly identity?: IdentitySource;
}

const CHANNELS_MAX = 1_024;

const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  'grpc.max_receive_message_length': LIMITS.grpcMessageBytesMax,
  'grpc.max_send_message_length': LIMITS.grpcMessageBytesMax,
  // A peer whose machine died says nothing: with a call under way it is found out within the sum of these two.
  'grpc.keepalive_time_ms': LIMITS.heartbeatPeriodMs,
  'grpc.keepalive_timeout_ms': LIMITS.heartbeatPeriodMs,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.client_idle_timeout_ms': 5 * 60_000,
  // Connections differ by identity, which the library's own pool would not see.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
};

// The library prints to stderr by itself; whatever matters to us arrives as a failure.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

type Expect = NodeRole | 'node' | 'anyone';

/** Connections to other nodes. When the identity changes, new calls go over new ones; the old end with their calls. */
export function openDialer(opts: RpcDialerOpts, modules: RpcDialerModules): RpcDialer & AsyncDisposable {
  return new Channels(opts, modules);
}

/** One connection; closed when it is retired and its last call has ended. */
class Channel {
  readonly client: grpc.Client;
  #calls = 0;
  #retired = false;

  constructor(client: grpc.Client) {
    this.client = client;
  }

  /** Counts a call until what is returned is called. */
  begin(): () => void {
    this.#calls += 1;
    return () => {
      this.#calls -= 1;
      this.#maybeClose();
    };
  }

  retire(): void {
    this.#retired = true;
    this.#maybeClose();
  }

  #maybeClose(): void {
    if (this.#retired && this.#calls === 0) this.client.close();
  }
}

class Channels implements RpcDialer, AsyncDisposable {
  readonly #channelsMax: number;
  readonly #identity: IdentitySource | undefined;
  /** In order of their last use. */
  readonly #channels = new Map<string, Channel>();
  readonly #closing = new AbortController();
  readonly #unfollow: (() => void) | undefined;

  constructor(opts: RpcDialerOpts, modules: RpcDialerModules) {
    this.#channelsMax = opts.channelsMax ?? CHANNELS_MAX;
    this.#identity = modules.identity;
    this.#unfollow = modules.identity?.onChange(() => this.#retireAll());
  }

  client<Name extends ServiceName>(service: Name, addr: string, expect: Expect): Client<Name> {
    const route = {
      addr,
      closing: this.#closing.signal,
      open: () => {
        const channel = this.#channel(addr, expect);
        return { client: channel.client, ended: channel.begin() };
      },
    };
    const calls = methodsOf(service).map((method) => [method.name, invoke(method, route)]);
    return Object.fromEntries(calls) as Client<Name>;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#unfollow?.();
    this.#closing.abort(new Error('this node is stopping'));
    this.#retireAll();
    return Promise.resolve();
  }

  #channel(addr: string, expect: Expect): Channel {
    const key = `${expect} ${addr}`;
    const channel = this.#channels.get(key) ?? new Channel(this.#connect(addr, expect));
    this.#channels.delete(key);
    this.#channels.set(key, channel);
    if (this.#channels.size > this.#channelsMax) this.#retire(this.#channels.keys().next().value as string);
    return channel;
  }

  #connect(addr: string, expect: Expect): grpc.Client {
    const credentials =
      expect === 'anyone'
        ? channelCredentials(undefined, 'node')
        : channelCredentials(this.#identity?.current(), expect);
    return new grpc.Client(`dns:${addr}`, credentials, {
      ...CHANNEL_OPTIONS,
      'grpc.ssl_target_name_override': serverName(expect),
    });
  }

  #retire(key: string): void {
    const channel = this.#channels.get(key);
    this.#channels.delete(key);
    channel?.retire();
  }

  #retireAll(): void {
    for (const key of [...this.#channels.keys()]) this.#retire(key);
  }
}
