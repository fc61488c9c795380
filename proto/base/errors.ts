/**
 * The closed list of failures, with their one translation to HTTP (Engine API) and gRPC.
 * `retry` says whether the same request may succeed later without anybody changing it.
 */
export const FAILURES = {
  INVALID_ARGUMENT: { http: 400, grpc: 'INVALID_ARGUMENT', retry: false },
  FAILED_PRECONDITION: { http: 400, grpc: 'FAILED_PRECONDITION', retry: false },
  UNAUTHENTICATED: { http: 401, grpc: 'UNAUTHENTICATED', retry: false },
  FORBIDDEN: { http: 403, grpc: 'PERMISSION_DENIED', retry: false },
  NOT_FOUND: { http: 404, grpc: 'NOT_FOUND', retry: false },
  CONFLICT: { http: 409, grpc: 'ALREADY_EXISTS', retry: false },
  NOT_MODIFIED: { http: 304, grpc: 'ALREADY_EXISTS', retry: false },
  /** The object changed since the version the caller named. Docker's tools match the message, so it is 500. */
  OUT_OF_SEQUENCE: { http: 500, grpc: 'ABORTED', retry: true },
  NOT_IMPLEMENTED: { http: 501, grpc: 'UNIMPLEMENTED', retry: false },
  RESOURCE_EXHAUSTED: { http: 500, grpc: 'RESOURCE_EXHAUSTED', retry: true },
  /** Not now: no leader, no quorum, a peer that does not answer, a node that is stopping. */
  UNAVAILABLE: { http: 503, grpc: 'UNAVAILABLE', retry: true },
  /** This node is no manager, or its store is locked (Engine API: 503). */
  NOT_MANAGER: { http: 503, grpc: 'FAILED_PRECONDITION', retry: false },
  DEADLINE_EXCEEDED: { http: 500, grpc: 'DEADLINE_EXCEEDED', retry: true },
  CANCELLED: { http: 499, grpc: 'CANCELLED', retry: false },
  INTERNAL: { http: 500, grpc: 'INTERNAL', retry: false },
} as const;

export type FailureCode = keyof typeof FAILURES;

/**
 * An operating error: expected, handled, shown to a user.
 * The message names the object, what was expected, what was found, and what to do; it is Docker's own where
 * a Docker client would show it.
 */
export class ShoalError extends Error {
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ShoalError';
    this.code = code;
  }
}

/** The failure code of anything thrown; what is not a ShoalError is INTERNAL. */
export function codeOf(error: unknown): FailureCode {
  return error instanceof ShoalError ? error.code : 'INTERNAL';
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
