import type * as wire from '../gen/shoal.ts';
import type { NodeId } from '../types/ids.ts';
import type { ManagerStatus, Node, NodeDescription, NodeStatus, Stored } from '../types/objects.ts';
import type { NodeSpec } from '../types/specs.ts';
import type { NodeAvailability, NodeRole, NodeState, Reachability } from '../types/states.ts';
import { genericResources, storedObject } from './common.ts';
import {
  type Converter,
  flag,
  id,
  int64,
  items,
  optional,
  shape,
  text,
  textMap,
  texts,
  uint32,
  uint64,
  word,
} from './shape.ts';

export const nodeRole = word<NodeRole>('node role', { worker: true, manager: true });

export const nodeSpec = shape<NodeSpec, wire.NodeSpec>('node spec', {
  name: optional(text),
  labels: optional(textMap),
  role: nodeRole,
  availability: word<NodeAvailability>('node availability', { active: true, pause: true, drain: true }),
});

type Resources = NodeDescription['resources'];
type Engine = NodeDescription['engine'];
type Plugin = NonNullable<Engine['plugins']>[number];

const platform = shape<NodeDescription['platform'], Pick<wire.NodeDescription, 'architecture' | 'os'>>(
  'platform of a node',
  { architecture: text, os: text },
);

const resources = shape<Resources, Pick<wire.NodeDescription, 'nanoCpus' | 'memoryBytes' | 'generic'>>(
  'resources of a node',
  { nanoCpus: int64, memoryBytes: int64, generic: optional(genericResources) },
);

/** The engine as a node tells of it; its fields have longer names on the wire. */
interface WireEngine {
  readonly engineVersion: string;
  readonly engineLabels?: Engine['labels'];
  readonly plugins?: Engine['plugins'];
}

const engine = shape<WireEngine, Pick<wire.NodeDescription, 'engineVersion' | 'engineLabels' | 'plugins'>>(
  'engine of a node',
  {
    engineVersion: text,
    engineLabels: optional(textMap),
    plugins: optional(items(shape<Plugin, wire.NodeDescriptionPlugin>('plugin', { type: text, name: text }))),
  },
);

type Places = Pick<NodeDescription, 'hostname' | 'peerAddr' | 'dataPathAddr' | 'addresses'>;

const places = shape<Places, Pick<wire.NodeDescription, keyof Places>>('node description', {
  hostname: text,
  peerAddr: text,
  dataPathAddr: text,
  addresses: optional(texts),
});

/** Flat on the wire, grouped in the domain. */
export const nodeDescription: Converter<NodeDescription, wire.NodeDescription> = {
  toWire: (description) => ({
    ...places.toWire(description),
    ...platform.toWire(description.platform),
    ...resources.toWire(description.resources),
    ...engine.toWire(flatEngine(description.engine)),
  }),
  fromWire: (message) =>
    Object.freeze({
      ...places.fromWire(message),
      platform: platform.fromWire(message),
      resources: resources.fromWire(message),
      engine: groupedEngine(engine.fromWire(message)),
    }),
};

function flatEngine({ version, labels, plugins }: Engine): WireEngine {
  return {
    engineVersion: version,
    ...(labels === undefined ? {} : { engineLabels: labels }),
    ...(plugins === undefined ? {} : { plugins }),
  };
}

function groupedEngine({ engineVersion, engineLabels, plugins }: WireEngine): Engine {
  return Object.freeze({
    version: engineVersion,
    ...(engineLabels === undefined ? {} : { labels: engineLabels }),
    ...(plugins === undefined ? {} : { plugins }),
  });
}

export const nodeStatus = shape<NodeStatus, wire.NodeStatus>('node status', {
  state: word<NodeState>('node state', { unknown: true, down: true, ready: true, disconnected: true }),
  message: optional(text),
  addr: optional(text),
  sinceMs: optional(uint64),
});

export const managerStatus = shape<ManagerStatus, wire.ManagerStatus>('manager status', {
  raftId: uint64,
  addr: text,
  raftAddr: text,
  leader: optional(flag),
  reachability: word<Reachability>('reachability', { unknown: true, unreachable: true, reachable: true }),
});

/** A node as a writer gives it. */
export const unstoredNode = shape<Omit<Node, keyof Stored>, Omit<wire.Node, 'stored'>>('node', {
  id: id<NodeId>(),
  spec: nodeSpec,
  role: nodeRole,
  description: optional(nodeDescription),
  status: nodeStatus,
  manager: optional(managerStatus),
  meshIndex: optional(uint32),
  certificateExpiresAtMs: optional(uint64),
  specVersion: optional(uint64),
});

export const node = storedObject<Node, wire.Node>('node', unstoredNode);
