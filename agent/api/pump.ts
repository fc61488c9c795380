import type { Duplex } from 'node:stream';
import { DetachScanner } from './detach-keys.ts';

/** Writes, and waits when the other side is behind; does nothing when it is gone. */
export async function writeTo(stream: Duplex, data: Uint8Array): Promise<void> {
  if (stream.destroyed || stream.writableEnded) return;
  if (stream.write(data)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
  });
}

/** Where a client's input goes. */
export interface InputSink {
  write(data: Uint8Array): Promise<void>;
  end(): Promise<void> | void;
}

/** Passes on what a client sends until it ends its side or goes. `detached`: it typed the keys for that. */
export async function pumpInput(
  client: Duplex,
  sink: InputSink,
  detachKeys: Buffer | undefined,
): Promise<'ended' | 'detached'> {
  const scanner = detachKeys === undefined ? undefined : new DetachScanner(detachKeys);
  try {
    for await (const chunk of client.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      const { pass, detached } = scanner?.scan(chunk) ?? { pass: chunk, detached: false };
      if (pass.length > 0) await sink.write(pass);
      if (detached) return 'detached';
    }
  } catch {
    // A connection that breaks off ends the input like one that is closed.
  }
  await sink.end();
  return 'ended';
}
