/*
 * What a heartbeat carries for its answer to give back: which round it belongs to, and the leader's tick when it was
 * sent. An answer to round n says that the sender was followed after everything that came before round n: that is how
 * reads are confirmed, and how long a lease holds, whatever messages are lost or come late.
 */

export interface HeartbeatId {
  /** Counts the broadcasts of this leader; 1 is the first. */
  readonly round: number;
  readonly tick: number;
}

const BYTES = 16;

/** The context of a heartbeat. */
export function encodeHeartbeat({ round, tick }: HeartbeatId): Uint8Array {
  const bytes = new Uint8Array(BYTES);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, round);
  view.setFloat64(8, tick);
  return bytes;
}

/** Undefined when these are not the bytes of a heartbeat. */
export function decodeHeartbeat(bytes: Uint8Array | undefined): HeartbeatId | undefined {
  if (bytes?.length !== BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, BYTES);
  return { round: view.getFloat64(0), tick: view.getFloat64(8) };
}
