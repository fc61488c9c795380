import { ShoalError } from '#proto/base/errors.ts';
import type { LogRecord as WireRecord } from '#proto/gen/shoal.ts';
import type { Input } from '#proto/rpc/codec.ts';
import type { Implementation } from '#proto/rpc/types.ts';
import type { Containers, LogOpts, LogRecord } from '../../core/engine.ts';
import { TASK_LABEL } from './spec.ts';

/** Records of one message at most; a reader that follows gets them as they come. */
const RECORDS_PER_MESSAGE = 64;

/** What a node gives managers: the output of its tasks' containers (proto/logs.proto). */
export function taskLogs(containers: Pick<Containers, 'withLabel' | 'logs'>): Implementation<'NodeLogs'> {
  return {
    async *read(request, call) {
      const [container] = containers.withLabel(TASK_LABEL, request.taskId);
      if (container === undefined) {
        throw new ShoalError('NOT_FOUND', `no container of task ${request.taskId} is on this node`);
      }
      const opts: LogOpts = {
        stdout: request.stdout,
        stderr: request.stderr,
        follow: request.follow,
        ...(request.sinceNs === '' ? {} : { sinceNs: BigInt(request.sinceNs) }),
        ...(request.untilNs === '' ? {} : { untilNs: BigInt(request.untilNs) }),
        ...(request.tail < 0 ? {} : { tail: request.tail }),
      };
      yield* grouped(containers.logs(container.id, opts, call.signal), opts.follow);
    },
  };
}

/** One message a record while following, many otherwise. */
async function* grouped(
  records: AsyncIterable<LogRecord>,
  follow: boolean,
): AsyncGenerator<{ records: Input<WireRecord>[] }> {
  let group: Input<WireRecord>[] = [];
  for await (const { stream, at, data } of records) {
    group.push({ stderr: stream === 'stderr', at, data });
    if (!follow && group.length < RECORDS_PER_MESSAGE) continue;
    yield { records: group };
    group = [];
  }
  if (group.length > 0) yield { records: group };
}
