/** A piece of output for a client that asked for several streams on one connection: 8 bytes of header, the data. */
export function frame(stream: 'stdin' | 'stdout' | 'stderr', data: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(8 + data.length);
  framed.writeUInt32BE(STREAMS[stream] * 2 ** 24, 0);
  framed.writeUInt32BE(data.length, 4);
  framed.set(data, 8);
  return framed;
}

const STREAMS = { stdin: 0, stdout: 1, stderr: 2 } as const;

export const RAW_STREAM = 'application/vnd.docker.raw-stream';
const MULTIPLEXED_STREAM = 'application/vnd.docker.multiplexed-stream';
/** Before, both kinds were called raw. */
const MULTIPLEXED_SINCE_MINOR = 42;

/** What to call the content of an attach, exec or logs answer. */
export function streamType(tty: boolean, apiMinor: number): string {
  return tty || apiMinor < MULTIPLEXED_SINCE_MINOR ? RAW_STREAM : MULTIPLEXED_STREAM;
}
