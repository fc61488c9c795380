import type { MessagePort } from 'node:worker_threads';
import type { Labels } from '#proto/base/metrics.ts';
import type { TlsIdentity } from '#proto/rpc/types.ts';
import type { CoreOpts } from './opts.ts';

/* What the main thread and the Raft worker say to each other beside the protocol of consensus itself. */

export interface ListenOpts {
  /** Address to listen on, without port. */
  readonly host: string;
  readonly port: number;
}

/** What the worker is started with. */
export interface WorkerStart {
  readonly opts: CoreOpts;
  readonly listen: ListenOpts;
  readonly identity: TlsIdentity;
  /** The worker's end of the protocol of consensus. */
  readonly port: MessagePort;
}

export type ToWorker =
  | { readonly kind: 'identity'; readonly identity: TlsIdentity }
  /** Consensus has stopped: close everything and end. */
  | { readonly kind: 'close' };

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** A metric of the worker, which lives in the main thread under this number. */
export interface MetricDefinition {
  readonly id: number;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly buckets: readonly number[];
}

export interface MetricSample {
  readonly id: number;
  readonly value: number;
  readonly labels: Labels | undefined;
}

export type FromWorker =
  | {
      readonly kind: 'log';
      readonly level: LogLevel;
      readonly modules: readonly string[];
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>> | undefined;
    }
  | {
      readonly kind: 'metrics';
      readonly definitions: readonly MetricDefinition[];
      readonly samples: readonly MetricSample[];
    };
