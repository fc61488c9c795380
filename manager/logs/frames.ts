import type { LogPiece } from './broker.ts';
import type { LogRecord } from './records.ts';

/** How records are written for a client. */
export interface LogShape {
  /** The streams are told apart by a header before each piece; else they are one, as a terminal has it. */
  readonly multiplexed: boolean;
  readonly timestamps: boolean;
  /** Say with each line which node, service and task it is of. */
  readonly details: boolean;
}

const STREAMS = { stdout: 1, stderr: 2, error: 3 } as const;
const HEADER_BYTES = 8;
const NEWLINE = 0x0a;

const INCOMPLETE =
  'Error grabbing logs: rpc error: code = Unknown desc = warning: incomplete log stream. some logs could not be retrieved for the following reasons: ';

/** The bytes of a logs answer, as the Engine writes them. */
export async function* framed(pieces: AsyncIterable<LogPiece>, shape: LogShape): AsyncGenerator<Uint8Array> {
  const withinLine = new Set<string>();
  for await (const piece of pieces) {
    if ('gaps' in piece) {
      yield frame('error', Buffer.from(`${INCOMPLETE}${piece.gaps.join(', ')}\n`), shape);
      continue;
    }
    const { taskId, stderr, data } = piece;
    const stream = stderr ? 'stderr' : 'stdout';
    const line = `${taskId}/${stream}`;
    const prefix = withinLine.has(line) ? '' : prefixOf(piece, shape);
    if (data.at(-1) === NEWLINE) withinLine.delete(line);
    else withinLine.add(line);
    yield frame(stream, prefix === '' ? data : Buffer.concat([Buffer.from(prefix), data]), shape);
  }
}

function prefixOf({ at, nodeId, serviceId, taskId }: LogRecord, { timestamps, details }: LogShape): string {
  const who = [
    `com.docker.swarm.node.id=${nodeId}`,
    `com.docker.swarm.service.id=${serviceId}`,
    `com.docker.swarm.task.id=${taskId}`,
  ];
  return `${timestamps ? `${at} ` : ''}${details ? `${who.join(',')} ` : ''}`;
}

function frame(stream: keyof typeof STREAMS, data: Uint8Array, { multiplexed }: LogShape): Uint8Array {
  if (!multiplexed) return data;
  const framed = Buffer.alloc(HEADER_BYTES + data.length);
  framed[0] = STREAMS[stream];
  framed.writeUInt32BE(data.length, HEADER_BYTES / 2);
  framed.set(data, HEADER_BYTES);
  return framed;
}
