import { type Message, MessageType } from 'raft-ts';
import type { Peer } from '#manager/consensus/membership.ts';
import type { Intake, StartTransport, Transport, TransportEvents } from '#manager/consensus/transport.ts';
import { decodeSnapshotInfo } from '#manager/consensus/wire.ts';
import { type Random, randomInt } from '#proto/base/random.ts';
import type { Owner, SimTime } from './time.ts';

/** A line tells its end so long after it was cut off, if it does. */
const LINE_END_MS_MAX = 300;
const PIECE_BYTES_MAX = 600;
/** How much later a message comes that is held up. */
const LATE_MS_MAX = 400;

/** Chances are of one message. */
export interface NetworkOpts {
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  lossChance: number;
  doubleChance: number;
  /** Of coming much later than usual, and so behind others. */
  lateChance: number;
  snapshotBreakChance: number;
}

export interface NetworkModules {
  readonly time: SimTime;
  readonly random: Random;
  /** Sees each message that a member sends. */
  readonly sent: (message: Message) => void;
}

interface Station {
  readonly self: Peer;
  readonly owner: Owner;
  readonly events: TransportEvents;
  /** Where it finds the others: as its log says, or as they said themselves. */
  readonly peers: Map<number, Peer>;
  readonly introduced: Map<number, Peer>;
  /** Ends snapshots that are under way to here. */
  readonly incoming: Set<(ok: boolean) => void>;
}

/** Carries messages between simulated managers, or loses, doubles, delays and reorders them. Nodes go by their raftAddr. */
export class SimNetwork {
  opts: NetworkOpts;
  readonly #modules: NetworkModules;
  readonly #stations = new Map<string, Station>();
  readonly #cut = new Set<string>();
  readonly #slowMs = new Map<string, number>();
  /** Messages of an earlier one are lost. */
  #era = 0;
  snapshotsSent = 0;

  constructor(opts: NetworkOpts, modules: NetworkModules) {
    this.opts = opts;
    this.#modules = modules;
  }

  /** How a process joins the network. */
  starter(owner: Owner): StartTransport {
    return async (self, events) => {
      const station: Station = {
        ...{ self, owner, events },
        ...{ peers: new Map(), introduced: new Map(), incoming: new Set() },
      };
      this.#stations.set(self.raftAddr, station);
      return this.#transport(station);
    };
  }

  /** What one node says to another is lost, without a word; what the other says is not. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from} ${to}`);
    const [a, b] = [this.#stations.get(from), this.#stations.get(to)];
    if (a === undefined || b === undefined || this.#modules.random.next() < 0.5) return;
    this.#endLine(a, b);
    this.#endLine(b, a);
  }

  slow(from: string, to: string, ms: number): void {
    this.#slowMs.set(`${from} ${to}`, ms);
  }

  heal(): void {
    this.#cut.clear();
    this.#slowMs.clear();
  }

  /** The line between two nodes breaks, for no reason. */
  breakLine(from: string, to: string): void {
    const [a, b] = [this.#stations.get(from), this.#stations.get(to)];
    if (a !== undefined && b !== undefined) this.#endLine(a, b);
  }

  /** Something that no member said arrives. */
  tell(raftAddr: string, message: Message): void {
    const station = this.#stations.get(raftAddr);
    if (station !== undefined)
      this.#modules.time.after(0, () => station.events.received([message]), station.owner);
  }

  /** What is on its way never arrives. */
  forgetAll(): void {
    this.#era += 1;
  }

  /** A process is gone. Its machine may tell the others. */
  gone(raftAddr: string, tells: boolean): void {
    const station = this.#stations.get(raftAddr);
    if (station === undefined) return;
    this.#stations.delete(raftAddr);
    for (const end of station.incoming) end(false);
    if (!tells) return;
    for (const other of this.#stations.values())
      if (!this.#isCut(station, other)) this.#endLine(station, other, 2);
  }

  #endLine(from: Station, to: Station, withinMs = LINE_END_MS_MAX): void {
    const { time, random } = this.#modules;
    time.after(random.next() ** 2 * withinMs, () => to.events.lineEnded(from.self.raftId), to.owner);
  }

  #transport(station: Station): Transport {
    const { self, peers, introduced } = station;
    return {
      send: (message) => this.#send(station, message),
      setPeers(members) {
        const removed = [...peers.keys()].filter((id) => !members.some((peer) => peer.raftId === id));
        peers.clear();
        for (const peer of members) peers.set(peer.raftId, peer);
        for (const raftId of removed) introduced.delete(raftId);
      },
      introduce: (peer) => void introduced.set(peer.raftId, peer),
      hears: (raftId) => [...this.#stations.values()].some((other) => other.self.raftId === raftId),
      [Symbol.asyncDispose]: async () => {
        if (this.#stations.get(self.raftAddr) === station) this.gone(self.raftAddr, true);
      },
    };
  }

  #send(from: Station, message: Message): void {
    const peer = from.introduced.get(message.to) ?? from.peers.get(message.to);
    if (this.#stations.get(from.self.raftAddr) !== from || from.owner.gone) return;
    this.#modules.sent(message);
    if (peer === undefined) return;
    const { time, random } = this.#modules;
    const copies = random.next() < this.opts.doubleChance ? 2 : 1;
    const era = this.#era;
    const arrive = (): void => {
      if (era === this.#era) this.#arrive(from, peer, message);
    };
    // A process that is held up in the middle of something says what follows from it afterwards.
    const heldMs = Math.max(0, from.owner.heldUntilMs - time.nowMs);
    for (let copy = 0; copy < copies; copy += 1) time.after(heldMs + this.#delayMs(from, peer), arrive);
  }

  #delayMs(from: Station, to: Peer): number {
    const { random } = this.#modules;
    const { delayMsMin, delayMsMax, lateChance } = this.opts;
    const lateMs = random.next() < lateChance ? random.next() * LATE_MS_MAX : 0;
    const slowMs = this.#slowMs.get(`${from.self.raftAddr} ${to.raftAddr}`) ?? 0;
    return delayMsMin + random.next() * (delayMsMax - delayMsMin) + lateMs + random.next() * slowMs;
  }

  #isCut(from: Station, to: Pick<Station, 'self'>): boolean {
    return this.#cut.has(`${from.self.raftAddr} ${to.self.raftAddr}`);
  }

  /** It is here; the process takes it when it can. */
  #arrive(from: Station, peer: Peer, message: Message): void {
    const { time, random } = this.#modules;
    const to = this.#stations.get(peer.raftAddr);
    if (
      to === undefined ||
      to.self.raftId !== message.to ||
      this.#isCut(from, to) ||
      random.next() < this.opts.lossChance
    )
      return this.#lost(from, message);
    const sent = message.type === MessageType.Snap ? this.#tellOnce(from, to, message) : () => undefined;
    const take = (): void => this.#take(from, to, message, sent);
    if (to.owner.heldUntilMs > time.nowMs) time.after(0, take, to.owner);
    else take();
  }

  /** What became of a snapshot is told to its sender, whoever ends it. */
  #tellOnce(from: Station, to: Station, message: Message): (ok: boolean) => void {
    const tell = (ok: boolean): void => {
      if (to.incoming.delete(tell))
        this.#modules.time.after(1, () => from.events.snapshotSent(message.to, ok), from.owner);
    };
    to.incoming.add(tell);
    return tell;
  }

  #take(from: Station, to: Station, message: Message, sent: (ok: boolean) => void): void {
    try {
      to.events.admit(from.self);
    } catch {
      sent(false);
      return void this.#modules.time.after(1, () => from.events.removed(), from.owner);
    }
    to.introduced.set(from.self.raftId, from.self);
    if (message.type === MessageType.Snap) this.#startSnapshot(from, to, message, sent);
    else to.events.received([message]);
  }

  #lost(from: Station, message: Message): void {
    const { time } = this.#modules;
    const tell = (): void => {
      if (message.type === MessageType.Snap) from.events.snapshotSent(message.to, false);
      from.events.unreachable(message.to);
    };
    time.after(0, tell, from.owner);
  }

  #startSnapshot(from: Station, to: Station, message: Message, sent: (ok: boolean) => void): void {
    const info = decodeSnapshotInfo((message.snapshot as { data: Uint8Array }).data);
    try {
      if (from.owner.gone) return sent(false);
      const intake = to.events.receiveSnapshot(info);
      const reader = from.events.openSnapshot(info);
      const pieces = [reader.skip(intake.offset)];
      for (let piece = reader.next(); piece !== undefined; piece = reader.next()) pieces.push(piece);
      reader.close();
      this.#sendPieces({
        from,
        to,
        message,
        intake,
        sent,
        offset: intake.offset,
        data: Buffer.concat(pieces),
      });
    } catch {
      sent(false);
    }
  }

  /** A piece at a time; either end may be gone before the next. */
  #sendPieces(stream: SnapshotStream): void {
    const { from, to, message, intake, sent, offset, data } = stream;
    const { time, random } = this.#modules;
    time.after(
      1 + random.next() * 3,
      () => {
        const breaks = random.next() < this.opts.snapshotBreakChance;
        if (from.owner.gone || breaks || this.#isCut(from, to)) return sent(false);
        const piece = data.subarray(0, 1 + randomInt(random, PIECE_BYTES_MAX));
        try {
          // Somebody else may send it, too.
          if (intake.offset !== offset) return sent(false);
          if (piece.length > 0) {
            intake.write(piece);
            const rest = data.subarray(piece.length);
            return this.#sendPieces({ ...stream, offset: offset + piece.length, data: rest });
          }
          intake.finish(message);
          this.snapshotsSent += 1;
          sent(true);
        } catch {
          sent(false);
        }
      },
      to.owner,
    );
  }
}

interface SnapshotStream {
  readonly from: Station;
  readonly to: Station;
  readonly message: Message;
  readonly intake: Intake;
  readonly sent: (ok: boolean) => void;
  /** Of what is left. */
  readonly offset: number;
  readonly data: Buffer;
}
