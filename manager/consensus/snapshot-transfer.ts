import type { Message } from 'raft-ts';
import { type BackoffOpts, backoffMs } from '#proto/base/backoff.ts';
import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { RaftSnapshotAck, RaftSnapshotChunk } from '#proto/gen/shoal.ts';
import type { Input } from '#proto/rpc/codec.ts';
import type { RpcDialer } from '#proto/rpc/types.ts';
import type { Intake, TransportEvents } from './transport.ts';
import { decodeSnapshotInfo, messageFromWire, messageToWire, type SnapshotInfo } from './wire.ts';

const RETRY: BackoffOpts = { firstMs: 50, maxMs: 1_000 };
/** A receiver that fails so often without one byte of progress is given up; Raft starts over when it answers again. */
const FRUITLESS_TRIES_MAX = 5;

export interface SnapshotSendModules {
  readonly dialer: RpcDialer;
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
  const client = modules.dialer.client('RaftTransport', raftAddr, 'manager');
  let offset = -1;
  for (let tries = 0; ; tries += 1) {
    try {
      const { nextOffset } = await client.snapshot(announce(message), { signal });
      if (nextOffset > offset) tries = 0;
      offset = nextOffset;
      await client.snapshot(chunksFrom(message, nextOffset, modules), { signal });
      return;
    } catch (error) {
      if (signal.aborted || tries >= FRUITLESS_TRIES_MAX) throw error;
      modules.log.debug('sending a snapshot broke off', { raftAddr, offset, err: error });
      await modules.clock.sleep(backoffMs(RETRY, tries, modules.random), signal);
    }
  }
}

/** Asks where to go on: the answer says how much the receiver has. */
async function* announce(message: Message): AsyncGenerator<Input<RaftSnapshotChunk>, void, undefined> {
  yield { message: messageToWire(message), offset: 0 };
}

async function* chunksFrom(
  message: Message,
  from: number,
  modules: SnapshotSendModules,
): AsyncGenerator<Input<RaftSnapshotChunk>, void, undefined> {
  const reader = modules.events.openSnapshot(infoOf(message));
  try {
    let offset = from;
    let data: Uint8Array | undefined = reader.skip(from);
    yield { message: messageToWire(message), data, offset };
    offset += data.length;
    for (data = reader.next(); data !== undefined; data = reader.next()) {
      yield { data, offset };
      offset += data.length;
    }
    yield { offset, last: true };
  } finally {
    reader.close();
  }
}

/** What the receiver does with the chunks of one call. `admit` throws when the sender may not speak. */
export async function receiveSnapshot(
  chunks: AsyncIterable<RaftSnapshotChunk>,
  admit: (from: number) => void,
  events: Pick<TransportEvents, 'receiveSnapshot'>,
): Promise<Input<RaftSnapshotAck>> {
  let message: Message | undefined;
  let intake: Intake | undefined;
  for await (const chunk of chunks) {
    if (intake === undefined) {
      if (!chunk.message) throw new ShoalError('INVALID_ARGUMENT', 'a snapshot starts by saying which it is');
      message = messageFromWire(chunk.message);
      admit(message.from);
      intake = events.receiveSnapshot(infoOf(message));
    }
    take(intake, chunk);
    if (chunk.last) intake.finish(message as Message);
  }
  return { nextOffset: intake?.offset ?? 0 };
}

function take(intake: Intake, chunk: RaftSnapshotChunk): void {
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
