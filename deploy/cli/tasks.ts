import type { EngineClient } from './engine-client.ts';
import { ago, printTable } from './output.ts';

interface ApiTask {
  readonly ID: string;
  readonly ServiceID: string;
  readonly Slot?: number;
  readonly NodeID?: string;
  readonly DesiredState: string;
  readonly Status: { readonly State: string; readonly Timestamp: string; readonly Err?: string };
  readonly Spec: { readonly ContainerSpec: { readonly Image: string } };
}

interface Named {
  readonly ID: string;
  readonly Spec: { readonly Name: string };
}

/** Prints the tasks that the filters leave, newest of each slot first, as `docker service ps` does. */
export async function printTasks(
  client: EngineClient,
  filters: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const [tasks, services, nodes] = await Promise.all([
    client.call<ApiTask[]>('GET', '/tasks', { query: { filters: JSON.stringify(filters) } }),
    client.call<Named[]>('GET', '/services'),
    client.call<{ ID: string; Description: { Hostname: string } }[]>('GET', '/nodes'),
  ]);
  const serviceNames = new Map(services.map(({ ID, Spec }) => [ID, Spec.Name]));
  const hostnames = new Map(nodes.map(({ ID, Description }) => [ID, Description.Hostname]));
  tasks.sort(bySlotThenNewest);
  const headings = ['ID', 'NAME', 'IMAGE', 'NODE', 'DESIRED STATE', 'CURRENT STATE', 'ERROR'];
  printTable(
    headings,
    tasks.map((task) => rowOf(task, serviceNames, hostnames)),
  );
}

function bySlotThenNewest(a: ApiTask, b: ApiTask): number {
  if (a.ServiceID !== b.ServiceID) return a.ServiceID < b.ServiceID ? -1 : 1;
  if ((a.Slot ?? 0) !== (b.Slot ?? 0)) return (a.Slot ?? 0) - (b.Slot ?? 0);
  return Date.parse(b.Status.Timestamp) - Date.parse(a.Status.Timestamp);
}

function rowOf(
  { ID, ServiceID, Slot, NodeID, DesiredState, Status, Spec }: ApiTask,
  serviceNames: ReadonlyMap<string, string>,
  hostnames: ReadonlyMap<string, string>,
): string[] {
  const state = Status.State.charAt(0).toUpperCase() + Status.State.slice(1);
  return [
    ID.slice(0, 12),
    `${serviceNames.get(ServiceID) ?? ServiceID}.${Slot || NodeID}`,
    Spec.ContainerSpec.Image.split('@')[0] ?? '',
    hostnames.get(NodeID ?? '') ?? NodeID ?? '',
    DesiredState.charAt(0).toUpperCase() + DesiredState.slice(1),
    `${state} ${ago(Date.parse(Status.Timestamp), Date.now()).toLowerCase()} ago`,
    Status.Err === undefined ? '' : `"${Status.Err}"`,
  ];
}
