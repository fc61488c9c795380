/** A container engine in a network namespace of its own, that answers the Engine API. */
export interface Engine {
  readonly name: string;
  /** Path of the socket it answers on. */
  readonly socket: string;
  /** Comes up, as a swarm of one node unless it was made to be alone. What an earlier run that was cut off left behind goes first. */
  start(signal: AbortSignal): Promise<void>;
  /** Takes everything away: containers, processes, namespaces, files. Harmless when not started. */
  stop(): Promise<void>;
}

/** The API version that all engines measured here speak. */
export const API_VERSION = '1.41';
