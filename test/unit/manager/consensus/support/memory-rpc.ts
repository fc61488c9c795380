import { ShoalError } from '#proto/base/errors.ts';
import type { RaftBatch, RaftSnapshotChunk } from '#proto/gen/shoal.ts';
import { decode, encode, type Input } from '#proto/rpc/codec.ts';
import type { Client, Implementation, PeerIdentity, RpcDialer, RpcServer } from '#proto/rpc/types.ts';
import type { ClusterId, NodeId } from '#proto/types/ids.ts';

type Service = Implementation<'RaftTransport'>;

/** RPC within one process: what is sent goes through its wire form, and connections break when told to. */
export class MemoryRpc {
  readonly #services = new Map<string, Service>();
  readonly #calls = new Map<string, Set<AbortController>>();
  /** Messages that pass before the next call to an address breaks, by address. */
  readonly breakAfter = new Map<string, number>();
  calls = 0;
  bytes = 0;

  server(addr: string): RpcServer {
    return {
      add: (_service, _access, implementation) => {
        this.#services.set(addr, implementation as unknown as Service);
      },
      remove: () => {
        this.#services.delete(addr);
        this.breakCalls(addr);
      },
      port: 1,
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  /** A dialer of the node with this certificate. */
  dialer(nodeId: string): RpcDialer {
    const peer: PeerIdentity = { nodeId: nodeId as NodeId, role: 'manager', clusterId: 'c' as ClusterId };
    return { client: (_service, addr) => this.#client(addr, peer) as never };
  }

  /** Every connection to this address breaks. */
  breakCalls(addr: string): void {
    for (const call of this.#calls.get(addr) ?? [])
      call.abort(new ShoalError('UNAVAILABLE', 'connection reset'));
  }

  #client(addr: string, peer: PeerIdentity): Client<'RaftTransport'> {
    return {
      messages: (requests, opts) =>
        this.#call(addr, opts?.signal, (service, call) =>
          service.messages(this.#carried('RaftBatch', addr, requests, call), info(peer, call)),
        ) as never,
      snapshot: (requests, opts) =>
        this.#call(addr, opts?.signal, (service, call) =>
          service.snapshot(this.#carried('RaftSnapshotChunk', addr, requests, call), info(peer, call)),
        ) as never,
    };
  }

  async #call<T>(
    addr: string,
    signal: AbortSignal | undefined,
    run: (service: Service, call: AbortController) => Promise<T>,
  ): Promise<T> {
    const service = this.#services.get(addr);
    if (service === undefined) throw new ShoalError('UNAVAILABLE', `nobody listens at ${addr}`);
    this.calls += 1;
    const call = new AbortController();
    const all = this.#calls.get(addr) ?? new Set();
    this.#calls.set(addr, all.add(call));
    const onAbort = (): void => call.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([run(service, call), aborted(call.signal)]);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      all.delete(call);
    }
  }

  async *#carried<Name extends 'RaftBatch' | 'RaftSnapshotChunk'>(
    name: Name,
    addr: string,
    requests: AsyncIterable<Input<Name extends 'RaftBatch' ? RaftBatch : RaftSnapshotChunk>>,
    call: AbortController,
  ) {
    const source = requests[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await Promise.race([source.next(), aborted(call.signal)]);
        if (next.done) return;
        const left = this.breakAfter.get(addr);
        if (left === 0) {
          this.breakAfter.delete(addr);
          call.abort(new ShoalError('UNAVAILABLE', 'connection reset'));
        } else if (left !== undefined) this.breakAfter.set(addr, left - 1);
        call.signal.throwIfAborted();
        const bytes = encode(name, next.value as never);
        this.bytes += bytes.length;
        yield decode(name, bytes) as never;
      }
    } finally {
      void source.return?.();
    }
  }
}

function info(peer: PeerIdentity, call: AbortController) {
  return { peer, peerAddr: 'memory:1', signal: call.signal };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
