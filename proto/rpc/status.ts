import { type Metadata, Metadata as MetadataMap, type StatusObject, status } from '@grpc/grpc-js';
import { InvariantError } from '../base/assert.ts';
import { codeOf, FAILURES, type FailureCode, messageOf, ShoalError } from '../base/errors.ts';

/** Carries our own code where several share one of gRPC's. Its presence says that a peer of ours spoke. */
const CODE_KEY = 'shoal-code';
/** Where the leader is, in the refusal of a manager that is not it; empty when it does not know. */
const LEADER_KEY = 'shoal-leader';
/** HTTP/2 headers are bounded; what is longer than this nobody reads. */
const MESSAGE_CHARS_MAX = 4096;

/** This manager does not lead: ask `leaderAddr` (host:port of its control service), where that is known. */
export class NotLeaderError extends ShoalError {
  readonly leaderAddr: string | undefined;

  constructor(leaderAddr: string | undefined, options?: ErrorOptions) {
    super(
      'UNAVAILABLE',
      leaderAddr === undefined
        ? "The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online."
        : `this manager does not lead the swarm; the leader is at ${leaderAddr}`,
      options,
    );
    this.leaderAddr = leaderAddr;
  }
}

/** A thrown failure as the status a call ends with. What is no ShoalError tells the peer nothing about us. */
export function toStatus(error: unknown): StatusObject {
  const code = codeOf(error);
  const metadata = new MetadataMap();
  metadata.set(CODE_KEY, code);
  if (error instanceof NotLeaderError) metadata.set(LEADER_KEY, error.leaderAddr ?? '');
  const message = error instanceof ShoalError ? error.message : 'internal error';
  return {
    code: status[FAILURES[code].grpc],
    details: message.slice(0, MESSAGE_CHARS_MAX).toWellFormed(),
    metadata,
  };
}

/** The failure that a call ended with, as it was thrown at the other end; else the connection's, naming the `call`. */
export function fromStatus(ended: unknown, call: string): ShoalError {
  if (ended instanceof ShoalError) return ended;
  if (!isStatus(ended)) return new ShoalError('INTERNAL', `${call}: ${messageOf(ended)}`, { cause: ended });
  const code = ownCode(ended.metadata);
  if (code === undefined) return new ShoalError(transportCode(ended.code), `${call}: ${ended.details}`);
  const leader = text(ended.metadata, LEADER_KEY);
  return leader === undefined ? new ShoalError(code, ended.details) : new NotLeaderError(leader || undefined);
}

/** Lets a broken invariant stop the process, as it must, rather than end as one failed call. */
export function rethrowBug(error: unknown): void {
  if (error instanceof InvariantError) {
    setImmediate(() => {
      throw error;
    });
  }
}

function isStatus(value: unknown): value is StatusObject {
  return value instanceof Error && 'code' in value && typeof value.code === 'number' && 'details' in value;
}

function ownCode(metadata: Metadata | undefined): FailureCode | undefined {
  const code = text(metadata, CODE_KEY);
  return code !== undefined && Object.hasOwn(FAILURES, code) ? (code as FailureCode) : undefined;
}

function text(metadata: Metadata | undefined, key: string): string | undefined {
  const value = metadata?.get(key)[0];
  return typeof value === 'string' ? value : undefined;
}

/** Without a word from a peer of ours, a broken call is the connection's: it may be tried again. */
function transportCode(code: status): FailureCode {
  const name = status[code];
  if (name === 'INTERNAL' || name === 'UNKNOWN') return 'UNAVAILABLE';
  const found = Object.entries(FAILURES).find(([, failure]) => failure.grpc === name);
  return (found?.[0] as FailureCode | undefined) ?? 'INTERNAL';
}
