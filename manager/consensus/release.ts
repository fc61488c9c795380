/** Below this a buffer is no burden: giving it back by hand takes longer than it saves. */
const RELEASE_BYTES_MIN = 16 * 1024;

/**
 * Gives the memory of a large buffer back at once, which nobody may look at any more. The collector counts buffers as part
 * of the heap, and the Raft thread's is small: ten megabytes of them that are not needed any more make it collect all.
 */
export function release({ buffer, byteLength }: Uint8Array): void {
  const isWhole = byteLength === buffer.byteLength;
  if (isWhole && byteLength >= RELEASE_BYTES_MIN && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
