/*
 * What a version of the API does not have yet: clients of an older one that send it all the same are answered as the
 * Engine of that day did, which passed it over.
 */

type Json = unknown;
type Path = readonly string[];

const CONTAINER = ['TaskTemplate', 'ContainerSpec'];

/** Each field with the minor version that brought it; `*` is each item of a list. */
const SINCE: readonly (readonly [minor: number, path: Path])[] = [
  [46, [...CONTAINER, 'OomScoreAdj']],
  [46, [...CONTAINER, 'Mounts', '*', 'TmpfsOptions', 'Options']],
  [44, [...CONTAINER, 'Privileges', 'Seccomp']],
  [44, [...CONTAINER, 'Privileges', 'AppArmor']],
  [44, [...CONTAINER, 'Privileges', 'NoNewPrivileges']],
  [44, [...CONTAINER, 'Healthcheck', 'StartInterval']],
  [41, [...CONTAINER, 'CapabilityAdd']],
  [41, [...CONTAINER, 'CapabilityDrop']],
  [41, [...CONTAINER, 'Ulimits']],
  [41, ['TaskTemplate', 'Resources', 'Limits', 'Pids']],
  [41, ['Mode', 'ReplicatedJob']],
  [41, ['Mode', 'GlobalJob']],
  [40, [...CONTAINER, 'Sysctls']],
  [40, ['TaskTemplate', 'Placement', 'MaxReplicas']],
];

/** The body of a service request without what version 1.`minor` of the API does not have. */
export function withoutLaterFields(body: Json, minor: number): Json {
  return SINCE.filter(([since]) => minor < since).reduce((json, [, path]) => without(json, path), body);
}

function without(json: Json, [name, ...rest]: Path): Json {
  if (typeof json !== 'object' || json === null || name === undefined) return json;
  if (Array.isArray(json)) return name === '*' ? json.map((item) => without(item, rest)) : json;
  if (!(name in json)) return json;
  const { [name]: found, ...others } = json as Record<string, Json>;
  return rest.length === 0 ? others : { ...others, [name]: without(found, rest) };
}
