import { type Assigned, type AssignmentDiff, revisionKey } from '#proto/types/assignments.ts';
import type { NetworkId } from '#proto/types/ids.ts';
import { isTerminal } from '#proto/types/states.ts';

/** Applying a diff: a new value, which shares with the old one whatever did not change. Pure. */

/** What a node knows before it was told anything. */
export const NOTHING_ASSIGNED: Assigned = {
  version: 0,
  self: { nodeId: '' as Assigned['self']['nodeId'], meshPool: '', meshIndex: 0, dataPathPort: 0 },
  tasks: new Map(),
  revisions: new Map(),
  peers: new Map(),
  networks: new Map(),
  services: new Map(),
  endpoints: new Map(),
};

/** The state after `diff`; undefined when the diff continues another state than this one: something was missed. */
export function applyDiff(known: Assigned, diff: AssignmentDiff): Assigned | undefined {
  if (!diff.complete && diff.appliesTo !== known.version) return undefined;
  const from = diff.complete ? NOTHING_ASSIGNED : known;
  return {
    version: diff.version,
    self: diff.self ?? from.self,
    tasks: changed(from.tasks, diff.putTasks, ({ id }) => id, diff.removeTasks),
    revisions: changed(
      from.revisions,
      diff.putRevisions,
      ({ serviceId, specVersion }) => revisionKey(serviceId, specVersion),
      diff.removeRevisions.map(({ serviceId, specVersion }) => revisionKey(serviceId, specVersion)),
    ),
    peers: changed(from.peers, diff.putPeers, ({ nodeId }) => nodeId, diff.removePeers),
    networks: changed(from.networks, diff.putNetworks, ({ id }) => id, diff.removeNetworks),
    services: changed(from.services, diff.putServices, ({ id }) => id, diff.removeServices),
    endpoints: changed(from.endpoints, diff.putEndpoints, ({ taskId }) => taskId, diff.removeEndpoints),
  };
}

/** The networks that a node in this state is told about: those its tasks are on that have not ended. */
export function networksOf(known: Assigned): NetworkId[] {
  const running = [...known.tasks.values()].filter(({ state }) => !isTerminal(state));
  return [...new Set(running.flatMap(({ networks }) => networks.map(({ networkId }) => networkId)))];
}

function changed<Key, Value>(
  map: ReadonlyMap<Key, Value>,
  put: readonly Value[],
  keyOf: (value: Value) => Key,
  remove: readonly Key[],
): ReadonlyMap<Key, Value> {
  if (put.length === 0 && remove.length === 0) return map;
  const next = new Map(map);
  for (const key of remove) next.delete(key);
  for (const value of put) next.set(keyOf(value), value);
  return next;
}
