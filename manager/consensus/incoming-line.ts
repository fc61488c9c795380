import type { Message } from 'raft-ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { RaftBatch, RaftFrame } from '#proto/gen/shoal.ts';
import type { Line, LineEvents } from '#proto/rpc/line.ts';
import type { Peer } from './membership.ts';
import { SnapshotReceiver } from './snapshot-transfer.ts';
import type { TransportEvents } from './transport.ts';
import { decodeFrame, encodeFrame, messageFromWire, readPeer, refusalOf } from './wire.ts';

export interface IncomingModules {
  /** Takes in who speaks on a line of messages. Throws when it may not. */
  readonly welcome: (sender: Peer, line: IncomingLine) => void;
  /** Throws when this member may not send us a snapshot over the line. */
  readonly admitSnapshot: (from: number, line: IncomingLine) => void;
  readonly received: (messages: readonly Message[]) => void;
  readonly receiveSnapshot: TransportEvents['receiveSnapshot'];
  readonly ended: (sender: Peer, line: IncomingLine) => void;
}

/** A line that another member opened to us: its messages, or one snapshot. */
export class IncomingLine implements LineEvents {
  readonly #line: Line;
  readonly #modules: IncomingModules;
  readonly #snapshot: SnapshotReceiver;
  #sender: Peer | undefined;
  #refused = false;

  constructor(line: Line, modules: IncomingModules) {
    this.#line = line;
    this.#modules = modules;
    this.#snapshot = new SnapshotReceiver((from) => modules.admitSnapshot(from, this), modules);
  }

  /** Whose certificate was shown. */
  get nodeId(): string {
    return this.#line.peer.nodeId;
  }

  frame(content: Uint8Array): void {
    if (this.#refused) return;
    try {
      this.#take(decodeFrame(content));
    } catch (error) {
      this.refuse(error);
    }
  }

  ended(): void {
    if (this.#sender !== undefined) this.#modules.ended(this.#sender, this);
  }

  /** Says why nothing more is listened to on this line, and ends it. */
  refuse(error: unknown): void {
    this.#refused = true;
    this.#line.send(encodeFrame(refusalOf(error)));
    this.#line.end();
  }

  /** Ends it without a word. */
  end(): void {
    this.#refused = true;
    this.#line.end();
  }

  #take({ batch, chunk }: RaftFrame): void {
    if (batch) return this.#takeBatch(batch);
    const answer = chunk && this.#snapshot.take(chunk);
    if (answer) this.#line.send(encodeFrame(answer));
  }

  #takeBatch(batch: RaftBatch): void {
    const { raftId } = this.#sender ?? this.#welcome(batch);
    const messages = batch.messages.map(messageFromWire).filter((message) => message.from === raftId);
    if (messages.length > 0) this.#modules.received(messages);
  }

  #welcome(batch: RaftBatch): Peer {
    if (!batch.sender) throw new ShoalError('INVALID_ARGUMENT', 'a Raft line starts by saying who speaks');
    const sender = readPeer(batch.sender);
    this.#modules.welcome(sender, this);
    this.#sender = sender;
    return sender;
  }
}
