import { type Message, MessageType } from 'raft-ts';
import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { RaftAck, RaftBatch } from '#proto/gen/shoal.ts';
import type { Input } from '#proto/rpc/codec.ts';
import type { CallInfo, Implementation, RpcDialer, RpcServer } from '#proto/rpc/types.ts';
import type { Peer } from './membership.ts';
import { PeerStream } from './peer-stream.ts';
import { receiveSnapshot, sendSnapshot } from './snapshot-transfer.ts';
import { REMOVED, type Transport, type TransportEvents } from './transport.ts';
import { messageFromWire, readPeer } from './wire.ts';

/** Strangers that introduced themselves: managers that this member has not heard of in its log yet. */
const STRANGERS_MAX = 32;

export interface RpcTransportModules {
  readonly server: RpcServer;
  readonly dialer: RpcDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A member's messages over RPC: one ordered stream to each other member, and one from each; snapshots on their own. */
export class RpcTransport implements Transport {
  readonly #self: Peer;
  readonly #events: TransportEvents;
  readonly #modules: RpcTransportModules;
  #members = new Map<number, Peer>();
  /** By what they said themselves: addresses newer than the log's, and peers that are not in it yet. */
  readonly #introduced = new Map<number, Peer>();
  readonly #outgoing = new Map<number, PeerStream>();
  readonly #incoming = new Map<number, AbortController>();
  readonly #snapshots = new Map<number, AbortController>();
  readonly #ending = new Set<Promise<void>>();
  #stopped = false;

  constructor(self: Peer, events: TransportEvents, modules: RpcTransportModules) {
    this.#self = self;
    this.#events = events;
    this.#modules = modules;
    const service: Implementation<'RaftTransport'> = {
      messages: (batches, call) => this.#receive(batches, call),
      snapshot: (chunks, call) =>
        receiveSnapshot(chunks, (from) => this.#admitSnapshot(from, call), this.#events),
    };
    modules.server.add('RaftTransport', 'manager', service);
  }

  send(message: Message): void {
    if (this.#stopped) return;
    if (message.type === MessageType.Snap) return this.#sendSnapshot(message);
    const stream = this.#streamTo(message.to);
    if (stream === undefined) this.#events.unreachable(message.to);
    else stream.send(message);
  }

  setPeers(peers: readonly Peer[]): void {
    const removed = [...this.#members.keys()].filter((id) => !peers.some((peer) => peer.raftId === id));
    this.#members = new Map(
      peers.filter((peer) => peer.raftId !== this.#self.raftId).map((peer) => [peer.raftId, peer]),
    );
    for (const raftId of removed) this.#forget(raftId);
    for (const raftId of this.#members.keys()) this.#streamTo(raftId);
  }

  introduce(peer: Peer): void {
    if (peer.raftId === this.#self.raftId) return;
    this.#introduced.delete(peer.raftId);
    this.#introduced.set(peer.raftId, peer);
    const strangers = [...this.#introduced.keys()].filter((id) => !this.#members.has(id));
    for (const raftId of strangers.slice(0, -STRANGERS_MAX)) this.#forget(raftId);
  }

  hears(raftId: number): boolean {
    return this.#incoming.has(raftId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#modules.server.remove('RaftTransport');
    for (const sending of this.#snapshots.values()) sending.abort(new Error('stopping'));
    for (const raftId of [...this.#outgoing.keys()]) this.#endStream(raftId);
    await Promise.all(this.#ending);
  }

  /** The stream to a member, at the address it is known by now. */
  #streamTo(raftId: number): PeerStream | undefined {
    const peer = this.#peer(raftId);
    if (peer === undefined || this.#stopped) return undefined;
    const there = this.#outgoing.get(raftId);
    if (there?.peer.raftAddr === peer.raftAddr) return there;
    this.#endStream(raftId);
    const stream = new PeerStream(this.#self, peer, { ...this.#modules, events: this.#events });
    this.#outgoing.set(raftId, stream);
    return stream;
  }

  #peer(raftId: number): Peer | undefined {
    return this.#introduced.get(raftId) ?? this.#members.get(raftId);
  }

  #forget(raftId: number): void {
    this.#introduced.delete(raftId);
    this.#endStream(raftId);
    this.#snapshots.get(raftId)?.abort(new Error(REMOVED));
    this.#incoming.get(raftId)?.abort(new ShoalError('FORBIDDEN', REMOVED));
  }

  #endStream(raftId: number): void {
    const stream = this.#outgoing.get(raftId);
    if (stream === undefined) return;
    this.#outgoing.delete(raftId);
    this.#track(stream[Symbol.asyncDispose]());
  }

  #track(ending: Promise<void>): void {
    this.#ending.add(ending);
    void ending.finally(() => this.#ending.delete(ending));
  }

  #sendSnapshot(message: Message): void {
    const { to } = message;
    const peer = this.#peer(to);
    if (peer === undefined) return this.#events.snapshotSent(to, false);
    this.#snapshots.get(to)?.abort(new Error('a newer snapshot takes its place'));
    const sending = new AbortController();
    this.#snapshots.set(to, sending);
    const modules = { ...this.#modules, events: this.#events };
    const sent = sendSnapshot(peer.raftAddr, message, modules, sending.signal).then(
      () => this.#snapshotDone(to, sending, true),
      (error) => {
        this.#modules.log.warn('a snapshot could not be sent', { raftId: to, err: error });
        this.#snapshotDone(to, sending, false);
      },
    );
    this.#track(sent);
  }

  #snapshotDone(to: number, sending: AbortController, ok: boolean): void {
    if (this.#snapshots.get(to) !== sending) return;
    this.#snapshots.delete(to);
    if (!this.#stopped) this.#events.snapshotSent(to, ok);
  }

  async #receive(batches: AsyncIterable<RaftBatch>, call: CallInfo): Promise<Input<RaftAck>> {
    const refused = new AbortController();
    let sender: Peer | undefined;
    try {
      for await (const batch of batches) {
        refused.signal.throwIfAborted();
        sender ??= this.#welcome(batch, call, refused);
        const { raftId } = sender;
        const messages = batch.messages.map(messageFromWire).filter((message) => message.from === raftId);
        if (messages.length > 0 && !this.#stopped) this.#events.received(messages);
      }
    } finally {
      if (sender !== undefined && this.#incoming.get(sender.raftId) === refused) {
        this.#incoming.delete(sender.raftId);
        if (!this.#stopped) this.#events.streamEnded(sender.raftId);
      }
    }
    return {};
  }

  #welcome(batch: RaftBatch, call: CallInfo, refused: AbortController): Peer {
    if (!batch.sender) throw new ShoalError('INVALID_ARGUMENT', 'a Raft stream starts by saying who speaks');
    const sender = readPeer(batch.sender);
    this.#admit(sender, call);
    this.introduce(sender);
    this.#incoming.set(sender.raftId, refused);
    return sender;
  }

  #admit(sender: Peer, call: CallInfo): void {
    if (call.peer?.nodeId !== sender.nodeId) {
      const message = `the certificate of ${call.peer?.nodeId ?? 'nobody'} does not speak for manager ${sender.nodeId}`;
      throw new ShoalError('UNAUTHENTICATED', message);
    }
    this.#events.admit(sender);
  }

  #admitSnapshot(from: number, call: CallInfo): void {
    const sender = this.#peer(from);
    if (sender === undefined)
      throw new ShoalError('UNAVAILABLE', `manager ${from} is not known here yet: try again`);
    this.#admit(sender, call);
  }
}
