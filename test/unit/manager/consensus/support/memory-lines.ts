import { ShoalError } from '#proto/base/errors.ts';
import type { Line, LineDialer, LineEvents, LineServer } from '#proto/rpc/line.ts';
import type { PeerIdentity } from '#proto/rpc/types.ts';
import type { ClusterId, NodeId } from '#proto/types/ids.ts';

type Take = (line: Line) => LineEvents;

/** Lines within one process: what is sent arrives in a later microtask, and lines break when told to. */
export class MemoryLines {
  readonly #takers = new Map<string, Take>();
  readonly #open = new Map<string, Set<End>>();
  /** Frames that pass before the next line to an address breaks, by address. */
  readonly breakAfter = new Map<string, number>();
  opened = 0;
  bytes = 0;

  server(addr: string): LineServer {
    return {
      accept: (take) => {
        if (take === undefined) this.#takers.delete(addr);
        else this.#takers.set(addr, take);
      },
    };
  }

  /** A dialer of the node with this certificate. */
  dialer(nodeId: string): LineDialer {
    return {
      dial: async (addr, _expect, events, signal) => {
        signal.throwIfAborted();
        const take = this.#takers.get(addr);
        if (take === undefined) throw new ShoalError('UNAVAILABLE', `nobody listens at ${addr}`);
        this.opened += 1;
        const ours = new End('there', () => this.#passes(addr));
        const theirs = new End(nodeId, () => true);
        ours.join(theirs, events, (content) => {
          this.bytes += content.length;
        });
        theirs.join(ours, take(theirs), () => undefined);
        this.#open.set(addr, (this.#open.get(addr) ?? new Set()).add(ours));
        signal.addEventListener('abort', () => ours.break(), { once: true });
        return ours;
      },
    };
  }

  /** Every line to this address breaks. */
  break(addr: string): void {
    for (const line of this.#open.get(addr) ?? []) line.break();
    this.#open.delete(addr);
  }

  #passes(addr: string): boolean {
    const left = this.breakAfter.get(addr);
    if (left === undefined) return true;
    this.breakAfter.set(addr, left - 1);
    if (left > 0) return true;
    this.breakAfter.delete(addr);
    return false;
  }
}

/** One end of a line. */
class End implements Line {
  readonly peer: PeerIdentity;
  readonly unsentBytes = 0;
  readonly #passes: () => boolean;
  #other: End | undefined;
  #events: LineEvents | undefined;
  #count: (content: Uint8Array) => void = () => undefined;

  constructor(nodeId: string, passes: () => boolean) {
    this.peer = { nodeId: nodeId as NodeId, role: 'manager', clusterId: 'c' as ClusterId };
    this.#passes = passes;
  }

  join(other: End, events: LineEvents, count: (content: Uint8Array) => void): void {
    this.#other = other;
    this.#events = events;
    this.#count = count;
  }

  send(content: Uint8Array): void {
    if (this.#events === undefined) return;
    if (!this.#passes()) return this.break();
    this.#count(content);
    const copy = Buffer.from(content);
    queueMicrotask(() => this.#other?.receive(copy));
  }

  receive(content: Buffer): void {
    try {
      this.#events?.frame(content);
    } catch {
      this.break();
    }
  }

  /** What was sent before arrives before. */
  end(): void {
    queueMicrotask(() => this.break());
  }

  break(): void {
    this.ended();
    this.#other?.ended();
  }

  ended(): void {
    const events = this.#events;
    this.#events = undefined;
    events?.ended();
  }
}
