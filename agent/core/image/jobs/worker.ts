import { parentPort } from 'node:worker_threads';
import { assert } from '#proto/base/assert.ts';
import { messageOf, ShoalError } from '#proto/base/errors.ts';
import { writeFailure } from '../disk.ts';
import type { JobContext, JobKind, JobMessage, JobRequest, JobTable } from './jobs.ts';

/*
 * A worker thread: does one job after another, as pool.ts hands them in. The parts are loaded when first needed.
 */

const PROGRESS_EVERY_BYTES = 512 * 1024;

const port = parentPort;
assert(port, 'this file is run as a worker thread');

port.on('message', (request: JobRequest) => {
  void run(request).then((message) => port.postMessage(message));
});

async function run(request: JobRequest): Promise<JobMessage> {
  try {
    const jobs = await tableOf(request.kind);
    const job = jobs[request.kind] as (args: unknown, context: JobContext) => Promise<unknown>;
    return { type: 'done', result: await job(request.args, contextOf(request)) };
  } catch (thrown) {
    const error = writeFailure(thrown);
    const code = error instanceof ShoalError ? error.code : (error as NodeJS.ErrnoException).code;
    const stack = error instanceof Error ? error.stack : undefined;
    return { type: 'failed', message: messageOf(error), ...(code && { code }), ...(stack && { stack }) };
  }
}

async function tableOf(kind: JobKind): Promise<Partial<JobTable>> {
  if (kind === 'ignore' || kind === 'hash' || kind === 'copy') {
    return (await import('../../build/tree-jobs.ts')).treeJobs;
  }
  return (await import('./archive-jobs.ts')).archiveJobs;
}

function contextOf(request: JobRequest): JobContext {
  const flag = new Int32Array(request.cancelled);
  let told = 0;
  return {
    check() {
      if (Atomics.load(flag, 0) !== 0) throw new ShoalError('CANCELLED', 'the work is no longer wanted');
    },
    progress(bytes) {
      if (bytes - told < PROGRESS_EVERY_BYTES) return;
      told = bytes;
      port?.postMessage({ type: 'progress', bytes } satisfies JobMessage);
    },
  };
}
