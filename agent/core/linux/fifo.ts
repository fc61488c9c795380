import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/**
 * Writes to a named pipe that somebody reads, never waiting for a reader: without one the kernel says ENXIO.
 * The data must be small enough to be written whole (PIPE_BUF, 4,096 bytes).
 */
export function writeFifo(path: string, data: string): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  try {
    writeSync(fd, data);
  } finally {
    closeSync(fd);
  }
}

/**
 * The reading end of a named pipe as a stream. It does not end until `release` was called and every writer has closed:
 * without the writer it keeps itself, a pipe that nobody has opened yet reads as ended.
 */
export function readFifo(path: string): { stream: Socket; release: () => void } {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const kept = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  let released = false;
  return {
    stream: new Socket({ fd, readable: true, writable: false }),
    release: () => {
      if (!released) closeSync(kept);
      released = true;
    },
  };
}

/** The writing end of a named pipe as a stream, open before there is a reader. */
export function fifoWriter(path: string): Socket {
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  return new Socket({ fd, readable: false, writable: true });
}

/**
 * Lets everybody go on who waits for the other end of a named pipe to be opened: they find it closed again at once.
 * Harmless when there is no such pipe.
 */
export function wakeFifo(path: string): void {
  try {
    closeSync(openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
