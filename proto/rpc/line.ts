import type { TLSSocket } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { LIMITS } from '../base/limits.ts';
import type { NodeRole } from '../types/states.ts';
import { FrameReader, frameOf } from './frames.ts';
import type { PeerIdentity } from './types.ts';

/*
 * Lines: connections between nodes for what is said so often that a call for each word would cost more than the word.
 * A line is mTLS as every connection is, and carries frames, in order, both ways.
 */

/** One end of a line that is open. */
export interface Line {
  /** Who is at the other end. */
  readonly peer: PeerIdentity;
  /** What was sent and has not left this process. */
  readonly unsentBytes: number;
  /** Never waits; whoever sends much looks at `unsentBytes`, and goes on when the line is drained. */
  send(content: Uint8Array): void;
  /** Ends the line when what was sent has left; after a moment in any case. */
  end(): void;
}

/** What a line tells whoever holds it. */
export interface LineEvents {
  /** A frame arrived; a view of what was read. What this throws breaks the line. */
  frame(content: Buffer): void;
  /** Everything that was sent has left this process. */
  drained?(): void;
  /** The last word, once. `error`: why the line broke, if it did. */
  ended(error?: Error): void;
}

export interface LineDialer {
  /** Opens a line to host:port, if a node of this role answers there; aborting the signal breaks it, also later. */
  dial(addr: string, expect: NodeRole, events: LineEvents, signal: AbortSignal): Promise<Line>;
}

/** Where other nodes' lines arrive. */
export interface LineServer {
  /** Says who takes the lines that managers open from now on; while nobody does they are closed. */
  accept(take: ((line: Line) => LineEvents) | undefined): void;
}

/** A line is alive when something arrives in so many beats; each end sends an empty frame with every beat. */
const BEAT_MS = 2_000;
const SILENT_BEATS_MAX = 4;
/** How long what was sent last may take to leave. */
const END_GRACE_MS = 500;

/** A line on a connection whose other end was checked. */
export class SocketLine implements Line {
  readonly peer: PeerIdentity;
  readonly #socket: TLSSocket;
  readonly #clock: Pick<Clock, 'timer'>;
  readonly #reader = new FrameReader(LIMITS.grpcMessageBytesMax);
  #events: LineEvents | undefined;
  #silentBeats = 0;
  #cancelBeat: () => void;
  #cancelEnd: (() => void) | undefined;

  constructor(peer: PeerIdentity, socket: TLSSocket, clock: Pick<Clock, 'timer'>) {
    this.peer = peer;
    this.#socket = socket;
    this.#clock = clock;
    this.#cancelBeat = clock.timer(BEAT_MS, () => this.#beat());
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** To be called once, in the turn in which the line was made. */
  open(events: LineEvents): void {
    this.#events = events;
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk: Buffer) => this.#received(chunk));
    this.#socket.on('drain', () => this.#events?.drained?.());
    this.#socket.on('error', (error) => this.#ended(error));
    this.#socket.on('end', () => this.#ended());
    this.#socket.on('close', () => {
      this.#cancelEnd?.();
      this.#ended();
    });
  }

  send(content: Uint8Array): void {
    if (this.#events !== undefined && this.#socket.writable) this.#socket.write(frameOf(content));
  }

  end(): void {
    if (this.#socket.destroyed) return;
    this.#socket.end();
    this.#cancelEnd ??= this.#clock.timer(END_GRACE_MS, () => this.#socket.destroy());
  }

  /** Breaks the line at once. */
  destroy(error?: Error): void {
    this.#ended(error);
    this.#socket.destroy();
  }

  #received(chunk: Buffer): void {
    this.#silentBeats = 0;
    try {
      for (const content of this.#reader.push(chunk)) if (content.length > 0) this.#events?.frame(content);
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  /** Counted rather than timed: a process that was held up finds what arrived meanwhile before it counts again. */
  #beat(): void {
    this.#silentBeats += 1;
    if (this.#silentBeats > SILENT_BEATS_MAX)
      return this.destroy(new Error('nothing was heard for too long'));
    this.send(NOTHING);
    this.#cancelBeat = this.#clock.timer(BEAT_MS, () => this.#beat());
  }

  #ended(error?: Error): void {
    const events = this.#events;
    if (events === undefined) return;
    this.#events = undefined;
    this.#cancelBeat();
    this.end();
    events.ended(error);
  }
}

const NOTHING = new Uint8Array();
