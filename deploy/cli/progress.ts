import { setTimeout as sleep } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import type { EngineClient } from './engine-client.ts';
import type { ApiService } from './service.ts';

const POLL_MS = 100;
const BAR_CHARS = 40;

/** Shows how a service converges, until it has: a bar of replicas running, and what an update says of itself. */
export async function followProgress(client: EngineClient, serviceId: string): Promise<void> {
  const draw = process.stdout.isTTY ? createLogUpdate(process.stdout, { showCursor: true }) : undefined;
  for (;;) {
    const service = await statusOf(client, serviceId);
    draw?.(lineOf(service));
    if (isConverged(service)) break;
    await sleep(POLL_MS);
  }
  draw?.done();
  console.log('Service converged');
}

/** Services are listed with their status; one by id. */
async function statusOf(client: EngineClient, serviceId: string): Promise<ApiService> {
  const query = { status: 'true', filters: JSON.stringify({ id: [serviceId] }) };
  const [service] = await client.call<ApiService[]>('GET', '/services', { query });
  if (service === undefined) throw new Error(`the service ${serviceId} was removed meanwhile`);
  return service;
}

function isConverged({ ServiceStatus, UpdateStatus }: ApiService): boolean {
  const state = UpdateStatus?.State ?? 'completed';
  if (state.endsWith('paused')) throw new Error(`update ${state}: ${UpdateStatus?.Message}`);
  const idle = state === 'completed' || state === 'rollback_completed';
  return idle && ServiceStatus !== undefined && ServiceStatus.RunningTasks === ServiceStatus.DesiredTasks;
}

function lineOf({ ServiceStatus, UpdateStatus }: ApiService): string {
  const { RunningTasks: running, DesiredTasks: wanted } = ServiceStatus ?? {
    RunningTasks: 0,
    DesiredTasks: 0,
  };
  const filled = wanted === 0 ? BAR_CHARS : Math.round((Math.min(running, wanted) / wanted) * BAR_CHARS);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_CHARS - filled);
  return `${bar} ${running} of ${wanted} ${UpdateStatus?.State ?? ''}`;
}
