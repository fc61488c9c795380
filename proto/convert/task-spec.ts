import type * as wire from '../gen/shoal.ts';
import type {
  NetworkAttachmentConfig,
  Placement,
  Platform,
  ResourceLimits,
  ResourceRequirements,
  Resources,
  RestartCondition,
  RestartPolicy,
  TaskSpec,
} from '../types/specs.ts';
import { driver, genericResources } from './common.ts';
import { containerSpec } from './container-spec.ts';
import { int64, items, optional, shape, text, textMap, texts, uint64, word } from './shape.ts';

const resources = shape<Resources, wire.Resources>('reservations', {
  nanoCpus: optional(int64),
  memoryBytes: optional(int64),
  generic: optional(genericResources),
});

const limits = shape<ResourceLimits, wire.ResourceLimits>('limits', {
  nanoCpus: optional(int64),
  memoryBytes: optional(int64),
  pids: optional(int64),
});

const requirements = shape<ResourceRequirements, wire.ResourceRequirements>('resources', {
  limits: optional(limits),
  reservations: optional(resources),
});

const restart = shape<RestartPolicy, wire.RestartPolicy>('restart policy', {
  condition: optional(
    word<RestartCondition>('restart condition', { none: true, 'on-failure': true, any: true }),
  ),
  delayNs: optional(int64),
  maxAttempts: optional(uint64),
  windowNs: optional(int64),
});

const platform = shape<Platform, wire.Platform>('platform', {
  architecture: optional(text),
  os: optional(text),
});

const placement = shape<Placement, wire.Placement>('placement', {
  constraints: optional(texts),
  preferences: optional(texts),
  maxReplicas: optional(uint64),
  platforms: optional(items(platform)),
});

const network = shape<NetworkAttachmentConfig, wire.NetworkAttachmentConfig>('network of a task spec', {
  target: text,
  aliases: optional(texts),
  driverOpts: optional(textMap),
});

export const taskSpec = shape<TaskSpec, wire.TaskSpec>('task spec', {
  container: containerSpec,
  resources: optional(requirements),
  restart: optional(restart),
  placement: optional(placement),
  networks: optional(items(network)),
  logDriver: optional(driver),
  forceUpdate: optional(uint64),
  runtime: optional(text),
});
