import { type ApiRequest, boolQuery, json, type Reply, stream } from '#proto/http/types.ts';
import type { Container } from '../core/container.ts';
import type { Engine } from '../core/open-engine.ts';
import { NEVER, timestamp } from '../core/record.ts';
import { type Usage, usageOf } from '../core/usage.ts';

const EVERY_MS = 1_000;

interface Sample {
  readonly read: string;
  readonly usage: Usage | undefined;
}

/** GET /containers/{id}/stats: once, or every second until the client goes. */
export async function stats(engine: Engine, { params, query, signal }: ApiRequest): Promise<Reply> {
  const container = engine.containers.find(params['id'] as string);
  if (boolQuery(query, 'stream', true)) return stream('application/json', samples(engine, container, signal));
  const first = sample(engine, container);
  if (boolQuery(query, 'one-shot') || first.usage === undefined)
    return json(statsView(engine, container, first, undefined));
  await engine.parts.clock.sleep(EVERY_MS, signal);
  return json(statsView(engine, container, sample(engine, container), first));
}

async function* samples(engine: Engine, container: Container, signal: AbortSignal): AsyncGenerator<string> {
  const { containers, clock } = engine.parts;
  let before: Sample | undefined;
  while (!signal.aborted && containers.get(container.id)) {
    const now = sample(engine, container);
    yield `${JSON.stringify(statsView(engine, container, now, before))}\n`;
    before = now;
    await clock.sleep(EVERY_MS, signal).catch(() => undefined);
  }
}

function sample({ parts }: Engine, container: Container): Sample {
  const usage = usageOf(parts, container);
  return { read: usage ? timestamp(parts.clock.wallMs()) : NEVER, usage };
}

function statsView(
  { parts: { machine } }: Engine,
  { id, name }: Container,
  now: Sample,
  before: Sample | undefined,
): Record<string, unknown> {
  const { usage } = now;
  const group = usage?.group;
  // Version 2 of control groups counts bytes and operations alone.
  const none = group && machine.cgroupVersion === 1 ? [] : null;
  return {
    name: `/${name}`,
    id,
    read: now.read,
    preread: before?.read ?? NEVER,
    num_procs: 0,
    pids_stats: group ? group.pids : {},
    cpu_stats: cpuView(usage, machine.cpus),
    precpu_stats: cpuView(before?.usage, machine.cpus),
    memory_stats: group ? memoryView(group.memory, machine.memoryBytes) : {},
    blkio_stats: {
      io_service_bytes_recursive: group ? group.blockIo : null,
      io_serviced_recursive: none,
      io_queue_recursive: none,
      io_service_time_recursive: none,
      io_wait_time_recursive: none,
      io_merged_recursive: none,
      io_time_recursive: none,
      sectors_recursive: none,
    },
    storage_stats: {},
    ...(usage && Object.keys(usage.interfaces).length > 0 ? { networks: usage.interfaces } : {}),
  };
}

function cpuView(usage: Usage | undefined, cpus: number): Record<string, unknown> {
  const cpu = usage?.group.cpu;
  return {
    cpu_usage: {
      total_usage: cpu?.totalNs ?? 0,
      ...(cpu?.perCpuNs ? { percpu_usage: cpu.perCpuNs } : {}),
      usage_in_kernelmode: cpu?.kernelNs ?? 0,
      usage_in_usermode: cpu?.userNs ?? 0,
    },
    ...(usage ? { system_cpu_usage: usage.machineCpuNs, online_cpus: cpus } : {}),
    throttling_data: {
      periods: cpu?.periods ?? 0,
      throttled_periods: cpu?.throttledPeriods ?? 0,
      throttled_time: cpu?.throttledNs ?? 0,
    },
  };
}

function memoryView(memory: Usage['group']['memory'], machineBytes: number): Record<string, unknown> {
  return {
    usage: memory.usage,
    ...(memory.maxUsage === undefined ? {} : { max_usage: memory.maxUsage }),
    ...(memory.failures === undefined ? {} : { failcnt: memory.failures }),
    stats: memory.stats,
    limit: memory.limit || machineBytes,
  };
}
