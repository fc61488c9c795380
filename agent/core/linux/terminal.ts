import { closeSync, constants, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import type { Clock } from '#proto/base/clock.ts';
import { streamOf } from './raw-stream.ts';
import { acceptOn, ioctl, listenOn, rawSocket, receiveDescriptor, SOCKETS, unixAddress } from './sys.ts';

const TIOCSWINSZ = 0x5414;
const RECEIVE_TRIES_MAX = 500;

/** The near end of a pseudo-terminal. */
export interface Terminal {
  readonly stream: Socket;
  resize(rows: number, columns: number): void;
}

/** Where the OCI runtime hands over the terminal of a process it starts (`--console-socket`). */
export class ConsoleSocket implements Disposable {
  readonly path: string;
  readonly #listener: number;

  constructor(path: string) {
    this.path = path;
    this.#listener = rawSocket.open(SOCKETS.AF_UNIX, SOCKETS.STREAM | SOCKETS.NONBLOCK | SOCKETS.CLOEXEC, 0);
    const folder = openSync(dirname(path), constants.O_DIRECTORY);
    try {
      rawSocket.bind(this.#listener, unixAddress(`/proc/self/fd/${folder}/${basename(path)}`));
      listenOn(this.#listener);
    } catch (error) {
      closeSync(this.#listener);
      throw error;
    } finally {
      closeSync(folder);
    }
  }

  /** The terminal. Call it once the runtime says that the process runs: it has sent it by then, or is about to. */
  async receive(clock: Clock): Promise<Terminal> {
    const connection = await firstOf(() => acceptOn(this.#listener), clock);
    try {
      return terminalOf(await firstOf(() => receiveDescriptor(connection), clock));
    } finally {
      closeSync(connection);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#listener);
  }
}

async function firstOf(look: () => number | undefined, clock: Clock): Promise<number> {
  for (let tries = 0; tries < RECEIVE_TRIES_MAX; tries += 1) {
    const found = look();
    if (found !== undefined) return found;
    await clock.sleep(1);
  }
  throw new Error('the OCI runtime handed over no terminal');
}

function terminalOf(fd: number): Terminal {
  const stream = streamOf(fd);
  return {
    stream,
    resize(rows, columns) {
      if (stream.destroyed) return;
      const size = Buffer.alloc(8);
      size.writeUInt16LE(rows, 0);
      size.writeUInt16LE(columns, 2);
      ioctl(fd, TIOCSWINSZ, size);
    },
  };
}
