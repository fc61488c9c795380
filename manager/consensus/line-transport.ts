import { type Message, MessageType } from 'raft-ts';
import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { LineDialer, LineServer } from '#proto/rpc/line.ts';
import { IncomingLine } from './incoming-line.ts';
import type { Peer } from './membership.ts';
import { PeerLine } from './peer-line.ts';
import { sendSnapshot } from './snapshot-transfer.ts';
import { REMOVED, type Transport, type TransportEvents } from './transport.ts';

/** Strangers that introduced themselves: managers that this member has not heard of in its log yet. */
const STRANGERS_MAX = 32;

export interface LineTransportModules {
  readonly server: LineServer;
  readonly lines: LineDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A member's messages over lines: one to each other member, and one from each; snapshots on lines of their own. */
export class LineTransport implements Transport {
  readonly #self: Peer;
  readonly #events: TransportEvents;
  readonly #modules: LineTransportModules;
  #members = new Map<number, Peer>();
  /** By what they said themselves: addresses newer than the log's, and peers that are not in it yet. */
  readonly #introduced = new Map<number, Peer>();
  readonly #outgoing = new Map<number, PeerLine>();
  readonly #incoming = new Map<number, IncomingLine>();
  readonly #snapshots = new Map<number, AbortController>();
  readonly #ending = new Set<Promise<void>>();
  #stopped = false;

  constructor(self: Peer, events: TransportEvents, modules: LineTransportModules) {
    this.#self = self;
    this.#events = events;
    this.#modules = modules;
    const incoming = {
      welcome: (sender: Peer, line: IncomingLine) => this.#welcome(sender, line),
      admitSnapshot: (from: number, line: IncomingLine) => this.#admitSnapshot(from, line),
      received: (messages: readonly Message[]) => {
        if (!this.#stopped) events.received(messages);
      },
      receiveSnapshot: (...wanted: Parameters<typeof events.receiveSnapshot>) =>
        events.receiveSnapshot(...wanted),
      ended: (sender: Peer, line: IncomingLine) => this.#lineEnded(sender, line),
    };
    modules.server.accept((line) => new IncomingLine(line, incoming));
  }

  send(message: Message): void {
    if (this.#stopped) return;
    if (message.type === MessageType.Snap) return this.#sendSnapshot(message);
    const line = this.#lineTo(message.to);
    if (line === undefined) this.#events.unreachable(message.to);
    else line.send(message);
  }

  setPeers(peers: readonly Peer[]): void {
    const removed = [...this.#members.keys()].filter((id) => !peers.some((peer) => peer.raftId === id));
    this.#members = new Map(
      peers.filter((peer) => peer.raftId !== this.#self.raftId).map((peer) => [peer.raftId, peer]),
    );
    for (const raftId of removed) this.#forget(raftId);
    for (const raftId of this.#members.keys()) this.#lineTo(raftId);
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
    this.#modules.server.accept(undefined);
    for (const sending of this.#snapshots.values()) sending.abort(new Error('stopping'));
    for (const raftId of [...this.#outgoing.keys()]) this.#endLine(raftId);
    for (const line of this.#incoming.values()) line.end();
    await Promise.all(this.#ending);
  }

  /** The line to a member, at the address it is known by now. */
  #lineTo(raftId: number): PeerLine | undefined {
    const peer = this.#peer(raftId);
    if (peer === undefined || this.#stopped) return undefined;
    const there = this.#outgoing.get(raftId);
    if (there?.peer.raftAddr === peer.raftAddr) return there;
    this.#endLine(raftId);
    const line = new PeerLine(this.#self, peer, { ...this.#modules, events: this.#events });
    this.#outgoing.set(raftId, line);
    return line;
  }

  #peer(raftId: number): Peer | undefined {
    return this.#introduced.get(raftId) ?? this.#members.get(raftId);
  }

  #forget(raftId: number): void {
    this.#introduced.delete(raftId);
    this.#endLine(raftId);
    this.#snapshots.get(raftId)?.abort(new Error(REMOVED));
    this.#incoming.get(raftId)?.refuse(new ShoalError('FORBIDDEN', REMOVED));
  }

  #endLine(raftId: number): void {
    const line = this.#outgoing.get(raftId);
    if (line === undefined) return;
    this.#outgoing.delete(raftId);
    this.#track(line[Symbol.asyncDispose]());
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

  #welcome(sender: Peer, line: IncomingLine): void {
    this.#admit(sender, line);
    this.introduce(sender);
    this.#incoming.get(sender.raftId)?.end();
    this.#incoming.set(sender.raftId, line);
  }

  #lineEnded({ raftId }: Peer, line: IncomingLine): void {
    if (this.#incoming.get(raftId) !== line) return;
    this.#incoming.delete(raftId);
    if (!this.#stopped) this.#events.lineEnded(raftId);
  }

  #admit(sender: Peer, { nodeId }: IncomingLine): void {
    if (nodeId !== sender.nodeId) {
      const message = `the certificate of ${nodeId} does not speak for manager ${sender.nodeId}`;
      throw new ShoalError('UNAUTHENTICATED', message);
    }
    this.#events.admit(sender);
  }

  #admitSnapshot(from: number, line: IncomingLine): void {
    const sender = this.#peer(from);
    if (sender === undefined)
      throw new ShoalError('UNAVAILABLE', `manager ${from} is not known here yet: try again`);
    this.#admit(sender, line);
  }
}
