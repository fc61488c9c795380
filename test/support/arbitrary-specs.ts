import fc from 'fast-check';
import type { Id } from '#proto/types/ids.ts';
import type * as specs from '#proto/types/specs.ts';

/*
 * Any value of each spec, and what such arbitraries are made of: every optional field is there or not, lists and strings
 * may be empty, maps may have odd keys.
 */

type Arbitraries<T> = { readonly [Key in keyof T]-?: fc.Arbitrary<Exclude<T[Key], undefined>> };
type OptionalKeys<T> = {
  [Key in keyof T]-?: Record<never, never> extends Pick<T, Key> ? Key : never;
}[keyof T];

/** An object whose keys that may be absent sometimes are. The compiler asks for every key. */
export function object<T extends object>(
  required: Arbitraries<Omit<T, OptionalKeys<T>>>,
  optional: Arbitraries<Pick<T, OptionalKeys<T>>>,
): fc.Arbitrary<T> {
  const keys = Object.keys(required);
  return fc.record({ ...required, ...optional }, {
    requiredKeys: keys,
    noNullPrototype: true,
  } as object) as fc.Arbitrary<unknown> as fc.Arbitrary<T>;
}

export const text = fc.string({ unit: 'grapheme', maxLength: 12 });
export const texts = fc.array(text, { maxLength: 4 });
export const textMap = fc.dictionary(text, text, { maxKeys: 4, noNullPrototype: true });
export const flag = fc.boolean();
export const count = fc.maxSafeNat();
export const whole = fc.maxSafeInteger();
export const uint32 = fc.nat({ max: 2 ** 32 - 1 });
export const few = <T>(each: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(each, { maxLength: 3 });

/** An id of any kind. */
export function anyId<Kind extends string>(): fc.Arbitrary<Id<Kind>> {
  return fc
    .array(fc.constantFrom(...'0123456789abcdefghijklmnopqrstuvwxyz'), { minLength: 25, maxLength: 25 })
    .map((chars) => chars.join('') as Id<Kind>);
}

export const driver = object<{ readonly name: string; readonly options?: specs.LabelMap }>(
  { name: text },
  { options: textMap },
);

export const port = object<specs.PortConfig>(
  {
    protocol: fc.constantFrom('tcp', 'udp', 'sctp'),
    targetPort: uint32,
    publishMode: fc.constantFrom('ingress', 'host'),
  },
  { name: text, publishedPort: uint32 },
);

export const genericResource: fc.Arbitrary<specs.GenericResource> = fc.oneof(
  fc.record({ kind: text, named: text }, { noNullPrototype: true }),
  fc.record({ kind: text, count }, { noNullPrototype: true }),
);

const mount = object<specs.Mount>(
  { type: fc.constantFrom('bind', 'volume', 'tmpfs'), target: text },
  {
    source: text,
    readOnly: flag,
    consistency: text,
    bind: object({}, { propagation: text, nonRecursive: flag, createMountpoint: flag }),
    volume: object(
      {},
      {
        noCopy: flag,
        labels: textMap,
        subpath: text,
        driver: object({}, { name: text, options: textMap }),
      },
    ),
    tmpfs: object({}, { sizeBytes: whole, mode: uint32 }),
  },
);

const privileges = object<specs.Privileges>(
  {},
  {
    noNewPrivileges: flag,
    seccomp: object({ mode: text }, { profile: text }),
    apparmor: object({ mode: text }, {}),
  },
);

const healthcheck = object<specs.Healthcheck>(
  {},
  {
    test: texts,
    intervalNs: whole,
    timeoutNs: whole,
    startPeriodNs: whole,
    startIntervalNs: whole,
    retries: count,
  },
);

export const anyContainerSpec = object<specs.ContainerSpec>(
  { image: text },
  {
    labels: textMap,
    command: texts,
    args: texts,
    hostname: text,
    env: texts,
    dir: text,
    user: text,
    groups: texts,
    privileges,
    init: flag,
    stopSignal: text,
    tty: flag,
    openStdin: flag,
    readOnly: flag,
    mounts: few(mount),
    stopGracePeriodNs: whole,
    healthcheck,
    hosts: texts,
    dns: object({}, { nameservers: texts, search: texts, options: texts }),
    isolation: text,
    sysctls: textMap,
    capabilityAdd: texts,
    capabilityDrop: texts,
    ulimits: few(object<specs.Ulimit>({ name: text, hard: whole, soft: whole }, {})),
    oomScoreAdj: whole,
    registryAuth: object(
      {},
      { username: text, password: text, identitytoken: text, registrytoken: text, serveraddress: text },
    ),
  },
);

export const anyTaskSpec = object<specs.TaskSpec>(
  { container: anyContainerSpec },
  {
    resources: object<specs.ResourceRequirements>(
      {},
      {
        limits: object({}, { nanoCpus: whole, memoryBytes: whole, pids: whole }),
        reservations: object({}, { nanoCpus: whole, memoryBytes: whole, generic: few(genericResource) }),
      },
    ),
    restart: object<specs.RestartPolicy>(
      {},
      {
        condition: fc.constantFrom('none', 'on-failure', 'any'),
        delayNs: whole,
        maxAttempts: count,
        windowNs: whole,
      },
    ),
    placement: object<specs.Placement>(
      {},
      {
        constraints: texts,
        preferences: texts,
        maxReplicas: count,
        platforms: few(object<specs.Platform>({}, { architecture: text, os: text })),
      },
    ),
    networks: few(
      object<specs.NetworkAttachmentConfig>({ target: text }, { aliases: texts, driverOpts: textMap }),
    ),
    logDriver: driver,
    forceUpdate: count,
    runtime: text,
  },
);

const mode: fc.Arbitrary<specs.ServiceMode> = fc.oneof(
  fc.record({ kind: fc.constant('replicated' as const), replicas: count }, { noNullPrototype: true }),
  fc.record({ kind: fc.constant('global' as const) }, { noNullPrototype: true }),
  fc.record(
    { kind: fc.constant('replicated-job' as const), maxConcurrent: count, totalCompletions: count },
    { noNullPrototype: true },
  ),
  fc.record({ kind: fc.constant('global-job' as const) }, { noNullPrototype: true }),
);

const updateConfig = object<specs.UpdateConfig>(
  {},
  {
    parallelism: count,
    delayNs: whole,
    failureAction: fc.constantFrom('pause', 'continue', 'rollback'),
    monitorNs: whole,
    maxFailureRatio: fc.double({ min: 0, max: 1, noNaN: true }),
    order: fc.constantFrom('stop-first', 'start-first'),
  },
);

export const anyServiceSpec = object<specs.ServiceSpec>(
  { name: text, task: anyTaskSpec, mode },
  {
    labels: textMap,
    update: updateConfig,
    rollback: updateConfig,
    endpoint: object({}, { mode: fc.constantFrom('vip', 'dnsrr'), ports: few(port) }),
  },
);
