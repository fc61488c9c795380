import { type Message, MessageType } from 'raft-ts';
import type { Peer } from '#manager/consensus/membership.ts';
import type { StartTransport, Transport, TransportEvents } from '#manager/consensus/transport.ts';
import { decodeSnapshotInfo } from '#manager/consensus/wire.ts';
import type { Clock } from '#proto/base/clock.ts';

const DELAY_MS = 1;

interface Station {
  readonly self: Peer;
  readonly events: TransportEvents;
  /** Where it finds the others: as its log says, or as they said themselves. */
  readonly peers: Map<number, Peer>;
  readonly introduced: Map<number, Peer>;
}

/** Carries messages between members in one process, a millisecond each way, unless it is told to cut them off. */
export class MemoryNetwork {
  readonly #clock: Clock;
  readonly #stations = new Map<string, Station>();
  /** Nodes that hear from and speak to nobody. */
  readonly #cutOff = new Set<string>();
  /** How many pieces of each snapshot pass before its stream breaks. */
  snapshotPiecesMax = Number.POSITIVE_INFINITY;
  snapshotsSent = 0;
  snapshotPieces = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly start: StartTransport = async (self, events) => {
    const station = { self, events, peers: new Map(), introduced: new Map() };
    this.#stations.set(self.raftAddr, station);
    return this.#transport(station);
  };

  /** The other members' messages are lost, without a word. */
  cutOff(nodeId: string): void {
    this.#cutOff.add(nodeId);
  }

  heal(nodeId: string): void {
    this.#cutOff.delete(nodeId);
  }

  /** A process is gone: its connections break. */
  gone(self: Peer): void {
    if (!this.#stations.delete(self.raftAddr)) return;
    for (const { events, self: other } of this.#stations.values())
      if (!this.#cutOff.has(other.nodeId)) events.lineEnded(self.raftId);
  }

  #transport(station: Station): Transport {
    const { self, peers, introduced } = station;
    return {
      send: (message) => {
        const to = introduced.get(message.to) ?? peers.get(message.to);
        if (this.#stations.get(self.raftAddr) !== station || to === undefined) return;
        this.#clock.timer(DELAY_MS, () => this.#deliver(station, to, message));
      },
      setPeers(members) {
        const removed = [...peers.keys()].filter((id) => !members.some((peer) => peer.raftId === id));
        peers.clear();
        for (const peer of members) peers.set(peer.raftId, peer);
        for (const raftId of removed) introduced.delete(raftId);
      },
      introduce: (peer) => void introduced.set(peer.raftId, peer),
      hears: (raftId) => [...this.#stations.values()].some((other) => other.self.raftId === raftId),
      [Symbol.asyncDispose]: async () => {
        if (this.#stations.get(self.raftAddr) === station) this.gone(self);
      },
    };
  }

  #deliver(from: Station, peer: Peer, message: Message): void {
    const to = this.#stations.get(peer.raftAddr);
    const isCut = this.#cutOff.has(from.self.nodeId) || this.#cutOff.has(peer.nodeId);
    const isGone = to?.self.raftId !== message.to || this.#stations.get(from.self.raftAddr) !== from;
    if (isCut || isGone || to === undefined) return this.#lost(from, message);
    try {
      to.events.admit(from.self);
    } catch {
      return from.events.removed();
    }
    to.introduced.set(from.self.raftId, from.self);
    if (message.type !== MessageType.Snap) return to.events.received([message]);
    try {
      this.#sendSnapshot(from, to, message);
    } catch {
      from.events.snapshotSent(message.to, false);
    }
  }

  #lost(from: Station, message: Message): void {
    if (this.#stations.get(from.self.raftAddr) !== from) return;
    if (message.type === MessageType.Snap) from.events.snapshotSent(message.to, false);
    from.events.unreachable(message.to);
  }

  #sendSnapshot(from: Station, to: Station, message: Message): void {
    const info = decodeSnapshotInfo((message.snapshot as { data: Uint8Array }).data);
    const reader = from.events.openSnapshot(info);
    const intake = to.events.receiveSnapshot(info);
    const rest = reader.skip(intake.offset);
    if (rest.length > 0) intake.write(rest);
    let pieces = 0;
    for (let piece = reader.next(); piece !== undefined; piece = reader.next()) {
      if (pieces === this.snapshotPiecesMax) {
        reader.close();
        return from.events.snapshotSent(message.to, false);
      }
      intake.write(piece);
      pieces += 1;
      this.snapshotPieces += 1;
    }
    reader.close();
    this.snapshotsSent += 1;
    intake.finish(message);
    from.events.snapshotSent(message.to, true);
  }
}
