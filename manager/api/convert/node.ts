import type { Node } from '#proto/types/objects.ts';
import type { NodeSpec } from '#proto/types/specs.ts';
import type { Reachability } from '#proto/types/states.ts';
import { decodeBody, filled, object, shown, text, textMap, word } from './fields.ts';
import { genericResources } from './task-spec.ts';
import { metaView } from './time.ts';
import type { TlsInfo } from './tls-info.ts';

const nodeSpec = object<NodeSpec>({
  name: ['Name', text],
  labels: ['Labels', shown(textMap, {})],
  role: [
    'Role',
    filled(
      word(['worker', 'manager'], (given) => `invalid Role: "${given}"`),
      'worker',
    ),
  ],
  availability: [
    'Availability',
    filled(
      word(['active', 'pause', 'drain'], (given) => `invalid Availability: "${given}"`),
      'active',
    ),
  ],
});

/** The body of POST /nodes/{id}/update. */
export function nodeRequest(body: unknown): NodeSpec {
  return decodeBody(nodeSpec, body);
}

/** A manager as the others see it. */
export interface ManagerView {
  readonly leader: boolean;
  readonly reachability: Reachability;
  /** host:port */
  readonly addr: string;
}

/** A node as the API shows it. */
export function nodeView(node: Node, tls: TlsInfo, manager?: ManagerView): Record<string, unknown> {
  const { state, message, addr } = node.status;
  return {
    ID: node.id,
    ...metaView(node),
    Spec: nodeSpec.encode(node.spec),
    Description: descriptionView(node, tls),
    Status: {
      State: state,
      ...(message && { Message: message }),
      ...(addr && { Addr: addr }),
    },
    ...(manager && {
      ManagerStatus: {
        ...(manager.leader && { Leader: true }),
        Reachability: manager.reachability,
        Addr: manager.addr,
      },
    }),
  };
}

function descriptionView({ description }: Node, tls: TlsInfo): Record<string, unknown> {
  if (description === undefined) return { Platform: {}, Resources: {}, Engine: {}, TLSInfo: tls };
  const { platform, resources, engine } = description;
  return {
    Hostname: description.hostname,
    Platform: { Architecture: platform.architecture, OS: platform.os },
    Resources: {
      NanoCPUs: resources.nanoCpus,
      MemoryBytes: resources.memoryBytes,
      ...(resources.generic?.length && { GenericResources: genericResources.encode(resources.generic) }),
    },
    Engine: {
      EngineVersion: engine.version,
      ...(engine.labels && Object.keys(engine.labels).length > 0 && { Labels: engine.labels }),
      ...(engine.plugins && {
        Plugins: engine.plugins.map(({ type, name }) => ({ Type: type, Name: name })),
      }),
    },
    TLSInfo: tls,
  };
}
