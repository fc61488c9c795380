import type { Message } from 'raft-ts';
import { type BackoffOpts, backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { RaftFrame, RaftSnapshotChunk } from '#proto/gen/shoal.ts';
import type { Input } from '#proto/rpc/codec.ts';
import type { LineDialer } from '#proto/rpc/line.ts';
import { SnapshotLine } from './snapshot-line.ts';
import type { Intake, TransportEvents } from './transport.ts';
import { decodeSnapshotInfo, messageFromWire, messageToWire, type SnapshotInfo } from './wire.ts';

const RETRY: BackoffOpts = { firstMs: 50, maxMs: 1_000 };
/** A receiver that fails so often without one byte of progress is given up; Raft starts over when it answers again. */
const FRUITLESS_TRIES_MAX = 5;

export interface SnapshotSendModules {
  readonly lines: LineDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly events: Pick<TransportEvents, 'openSnapshot'>;
}

/**
 * Sends the snapshot that `message` announces. A transfer that breaks is taken up where the receiver has it. Rejects
 * when it is given up, or the signal aborts.
 */
export async function sendSnapshot(
  raftAddr: string,
  message: Message,
  modules: SnapshotSendModules,
  signal: AbortSignal,
): Promise<void> {
  let offset = -1;
  for (let tries = 0; ; tries += 1) {
    try {
      using line = await SnapshotLine.open(modules.lines, raftAddr, signal);
      const nextOffset = await line.ask({ chunk: { message: messageToWire(message), offset: 0 } });
      if (nextOffset > offset) tries = 0;
      offset = nextOffset;
      await sendFrom(nextOffset, message, line, modules);
      return;
    } catch (error) {
      if (signal.aborted || tries >= FRUITLESS_TRIES_MAX) throw error;
      modules.log.debug('sending a snapshot broke off', { raftAddr, offset, err: error });
      await modules.clock.sleep(backoffMs(RETRY, tries, modules.random), signal);
    }
  }
}

/** Resolves once the receiver has everything. */
async function sendFrom(
  from: number,
  message: Message,
  line: SnapshotLine,
  modules: SnapshotSendModules,
): Promise<void> {
  const reader = modules.events.openSnapshot(infoOf(message));
  try {
    let offset = from;
    for (let data: Uint8Array | undefined = reader.skip(from); data !== undefined; data = reader.next()) {
      await line.send({ chunk: { data, offset } });
      offset += data.length;
    }
    await line.ask({ chunk: { offset, last: true } });
  } finally {
    reader.close();
  }
}

/** What the receiver does with the chunks of one line. */
export class SnapshotReceiver {
  readonly #admit: (from: number) => void;
  readonly #events: Pick<TransportEvents, 'receiveSnapshot'>;
  #receiving: { readonly message: Message; readonly intake: Intake } | undefined;

  /** `admit` throws when the sender may not speak. */
  constructor(admit: (from: number) => void, events: Pick<TransportEvents, 'receiveSnapshot'>) {
    this.#admit = admit;
    this.#events = events;
  }

  /** Takes a chunk, and gives back what to answer, if anything. */
  take(chunk: RaftSnapshotChunk): Input<RaftFrame> | undefined {
    const isFirst = this.#receiving === undefined;
    this.#receiving ??= this.#begin(chunk);
    const { intake, message } = this.#receiving;
    write(intake, chunk);
    if (chunk.last) intake.finish(message);
    return isFirst || chunk.last ? { ack: { nextOffset: intake.offset } } : undefined;
  }

  #begin(chunk: RaftSnapshotChunk): { message: Message; intake: Intake } {
    if (!chunk.message) throw new ShoalError('INVALID_ARGUMENT', 'a snapshot starts by saying which it is');
    const message = messageFromWire(chunk.message);
    this.#admit(message.from);
    return { message, intake: this.#events.receiveSnapshot(infoOf(message)) };
  }
}

function write(intake: Intake, chunk: RaftSnapshotChunk): void {
  if (chunk.data.length === 0 && !chunk.last) return;
  if (chunk.offset !== intake.offset) {
    const message = `the snapshot goes on at byte ${intake.offset}, not ${chunk.offset}`;
    throw new ShoalError('OUT_OF_SEQUENCE', message);
  }
  if (chunk.data.length > 0) intake.write(chunk.data);
}

function infoOf(message: Message): SnapshotInfo {
  if (message.snapshot === undefined)
    throw new ShoalError('INVALID_ARGUMENT', 'the message announces no snapshot');
  return decodeSnapshotInfo(message.snapshot.data);
}
