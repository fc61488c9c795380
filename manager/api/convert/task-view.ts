import type { Network, Revision, Task, TaskStatus } from '#proto/types/objects.ts';
import type { IpamConfig } from '#proto/types/specs.ts';
import { taskStateName } from '#proto/types/states.ts';
import type { StoreView } from '../../store/view.ts';
import { list } from './fields.ts';
import { DRIVER_DEFAULT, optionsOf } from './network.ts';
import { portConfig } from './service-spec.ts';
import { taskSpec } from './task-spec.ts';
import { metaView, timestamp } from './time.ts';

const ports = list(portConfig);

/** A task as the API shows it. */
export function taskView(view: StoreView, task: Task): Record<string, unknown> {
  const revision = view.revision(task.serviceId, task.specVersion);
  const attachments = attachmentsView(view, task);
  return {
    ID: task.id,
    ...metaView(task),
    Labels: {},
    Spec: specView(revision),
    ServiceID: task.serviceId,
    ...(task.slot !== 0 && { Slot: task.slot }),
    ...(task.nodeId !== undefined && { NodeID: task.nodeId }),
    Status: statusView(task.status),
    DesiredState: taskStateName(task.desired),
    ...(attachments.length > 0 && { NetworksAttachments: attachments }),
    Volumes: null,
  };
}

function specView(revision: Revision | undefined): unknown {
  if (revision === undefined) return {};
  const { Runtime: _, ...spec } = taskSpec.encode(revision.task) as Record<string, unknown>;
  return spec;
}

function statusView(status: TaskStatus): Record<string, unknown> {
  const { container, error } = status;
  return {
    Timestamp: timestamp(status.atMs),
    State: taskStateName(status.state),
    Message: status.message,
    ...(error !== undefined && { Err: error }),
    ...(container && {
      ContainerStatus: {
        ContainerID: container.id,
        PID: container.pid ?? 0,
        ExitCode: container.exitCode ?? 0,
      },
    }),
    PortStatus: status.ports && status.ports.length > 0 ? { Ports: ports.encode(status.ports) } : {},
  };
}

/** The networks of the task that are still there. Addresses are left out rather than empty: clients parse them. */
function attachmentsView(view: StoreView, task: Task): Record<string, unknown>[] {
  return task.networks.flatMap(({ networkId, addresses }) => {
    const network = view.networks.get(networkId);
    if (network === undefined) return [];
    return [{ Network: networkView(network), ...(addresses.length > 0 && { Addresses: [...addresses] }) }];
  });
}

function networkView(network: Network): Record<string, unknown> {
  const { spec, ipam } = network;
  const driver = spec.driver ?? DRIVER_DEFAULT;
  return {
    ID: network.id,
    ...metaView(network),
    Spec: {
      Name: spec.name,
      Labels: spec.labels ?? {},
      DriverConfiguration: { Name: driver },
      ...(spec.ipv6 && { IPv6Enabled: true }),
      ...(spec.internal && { Internal: true }),
      ...(spec.attachable && { Attachable: true }),
      ...(spec.ingress && { Ingress: true }),
      ...(spec.ipam && { IPAMOptions: ipamView(spec.ipam.driver, spec.ipam.configs) }),
      Scope: 'swarm',
    },
    DriverState: { Name: driver, Options: optionsOf(network) },
    ...(ipam && { IPAMOptions: ipamView(undefined, ipam) }),
  };
}

function ipamView(driver = 'default', configs: readonly IpamConfig[] = []): Record<string, unknown> {
  return {
    Driver: { Name: driver },
    ...(configs.length > 0 && { Configs: configs.map(rangeView) }),
  };
}

function rangeView({ subnet, range, gateway }: IpamConfig): Record<string, string> {
  return {
    ...(subnet !== undefined && { Subnet: subnet }),
    ...(range !== undefined && { Range: range }),
    ...(gateway !== undefined && { Gateway: gateway }),
  };
}
