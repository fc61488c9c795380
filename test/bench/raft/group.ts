/** Three members that agree on keys and values, and what is done to them. Members are numbered from 0. */
export interface Group {
  start(): Promise<void>;
  /** Ends what was started, and removes what it left. */
  stop(): Promise<void>;
  /** The member that leads, once one does. */
  leader(): Promise<number>;
  /** Where a member answers KV/Put, on loopback. */
  clientPort(member: number): number;
  /** Ends it with SIGKILL. */
  kill(member: number): Promise<void>;
  signal(member: number, signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Starts it again after kill(), with what it left on disk. */
  revive(member: number): Promise<void>;
  /** Whether a member follows the leader there is now, and has applied what is committed. */
  isCaughtUp(member: number): Promise<boolean>;
}
