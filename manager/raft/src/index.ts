export { LEAVE_JOINT } from './conf-change.ts';
export { decodeConfChange, encodeConfChange } from './conf-change-codec.ts';
export { type Config, type ReadMode, validate } from './config.ts';
export { EntryList, entryBytes } from './entry-list.ts';
export {
  CompactedError,
  ConfChangeError,
  ConfigError,
  InvariantError,
  ProposalDroppedError,
  RaftError,
  ReadDroppedError,
  SnapshotOutOfDateError,
  SnapshotTemporarilyUnavailableError,
  UnavailableError,
} from './errors.ts';
export { MemoryStorage } from './memory-storage.ts';
export type { PeerProgress, ProgressState } from './progress.ts';
export { type Proposed, RawNode } from './raw-node.ts';
export type { Status } from './status.ts';
export {
  type EntryId,
  type TraceEvent,
  type TraceKind,
  type TraceLevel,
  type Tracer,
  traceLevel,
} from './trace.ts';
export * from './types.ts';
