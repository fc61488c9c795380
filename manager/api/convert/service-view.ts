import type { Endpoint, Service, UpdateStatus } from '#proto/types/objects.ts';
import type { ServiceSpec } from '#proto/types/specs.ts';
import { withDefaults } from './defaults.ts';
import { list } from './fields.ts';
import { endpointSpec, portConfig, serviceSpec } from './service-spec.ts';
import { metaView, timestamp } from './time.ts';

const ports = list(portConfig);

/** How many tasks of a service there are, and should be. */
export interface TaskCounts {
  readonly running: number;
  readonly desired: number;
  readonly completed: number;
}

export interface ServiceViewOpts {
  /** Say what the spec leaves to defaults. */
  readonly insertDefaults?: boolean;
  readonly counts?: TaskCounts;
}

/** A service as the API shows it. */
export function serviceView(service: Service, opts: ServiceViewOpts = {}): Record<string, unknown> {
  const shownSpec = (spec: ServiceSpec): unknown =>
    serviceSpec.encode(opts.insertDefaults ? withDefaults(spec) : spec);
  return {
    ID: service.id,
    ...metaView(service),
    Spec: shownSpec(service.spec),
    ...(service.previousSpec && { PreviousSpec: shownSpec(service.previousSpec) }),
    Endpoint: endpointView(service),
    ...(service.update && { UpdateStatus: updateView(service.update) }),
    ...(opts.counts && { ServiceStatus: countsView(opts.counts) }),
  };
}

/** What has been allocated: nothing yet, or the mode, and the ports and addresses if there are any. */
function endpointView({ spec, endpoint }: Service): Record<string, unknown> {
  if (endpoint === undefined) return { Spec: {} };
  return {
    Spec: endpointSpec.encode({ ...spec.endpoint, mode: endpoint.mode }),
    ...(endpoint.ports.length > 0 && { Ports: ports.encode(endpoint.ports) }),
    ...(endpoint.vips.length > 0 && { VirtualIPs: vipsView(endpoint) }),
  };
}

function vipsView({ vips }: Endpoint): unknown {
  return vips.map(({ networkId, addr }) => ({ NetworkID: networkId, Addr: addr }));
}

function updateView({ state, startedAtMs, completedAtMs, message }: UpdateStatus): Record<string, unknown> {
  return {
    State: state,
    StartedAt: timestamp(startedAtMs),
    ...(completedAtMs !== undefined && { CompletedAt: timestamp(completedAtMs) }),
    Message: message,
  };
}

function countsView({ running, desired, completed }: TaskCounts): Record<string, number> {
  return { RunningTasks: running, DesiredTasks: desired, CompletedTasks: completed };
}
