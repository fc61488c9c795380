import type { CopyArgs, CopyResult, HashArgs, HashResult, IgnoreArgs } from '../../build/tree-jobs.ts';
import type { Digest } from '../digest.ts';

/*
 * What worker threads do for the image store and the builder: all that reads or writes many files, or many bytes. Paths are
 * text. Each job leaves its target alone when it fails half-way: who asked for it clears that away.
 */

export interface UnpackArgs {
  /** A layer's blob, compressed or not. */
  readonly blob: string;
  /** An empty folder. */
  readonly target: string;
  /** Unpacked layers below, top first. */
  readonly lowers: readonly string[];
}

export interface UnpackResult {
  /** Of the uncompressed archive. */
  readonly diffId: Digest;
  /** Bytes of file content. */
  readonly contentBytes: number;
}

export interface PackArgs {
  readonly tree: string;
  /** The file that is written: a gzip-compressed archive. */
  readonly target: string;
  /** The tree is the upper part of an overlay. */
  readonly whiteouts: boolean;
}

export interface PackResult {
  readonly diffId: Digest;
  /** Of the compressed archive. */
  readonly digest: Digest;
  readonly size: number;
}

export interface PackedTree extends PackResult {
  /** Bytes of file content. */
  readonly contentBytes: number;
}

export interface CompressArgs {
  /** An archive, compressed in any way or not. */
  readonly archive: string;
  readonly target: string;
}

export interface ExtractArgs {
  readonly archive: string;
  readonly target: string;
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** Every job: what it takes and what it gives. */
export interface Jobs {
  unpack: { args: UnpackArgs; result: UnpackResult };
  pack: { args: PackArgs; result: PackedTree };
  /** Any tar archive as a layer blob. */
  compress: { args: CompressArgs; result: PackResult };
  extract: { args: ExtractArgs; result: { readonly contentBytes: number } };
  remove: { args: { readonly path: string }; result: undefined };
  ignore: { args: IgnoreArgs; result: undefined };
  hash: { args: HashArgs; result: HashResult };
  copy: { args: CopyArgs; result: CopyResult };
}

export type JobKind = keyof Jobs;

/** What a job sees of whoever asked for it. */
export interface JobContext {
  /** Throws when the job is no longer wanted; asked between any two steps that take long. */
  check(): void;
  /** Bytes of input read so far. */
  progress(bytes: number): void;
}

export type JobTable = {
  readonly [K in JobKind]: (args: Jobs[K]['args'], context: JobContext) => Promise<Jobs[K]['result']>;
};

/** From the thread that asks. */
export interface JobRequest {
  readonly kind: JobKind;
  readonly args: unknown;
  /** One number, 1 when the job is no longer wanted. */
  readonly cancelled: SharedArrayBuffer;
}

/** From the thread that works. */
export type JobMessage =
  | { readonly type: 'progress'; readonly bytes: number }
  | { readonly type: 'done'; readonly result: unknown }
  | { readonly type: 'failed'; readonly message: string; readonly code?: string; readonly stack?: string };
