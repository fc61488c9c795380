import { ShoalError } from '#proto/base/errors.ts';
import type {
  GenericResource,
  NetworkAttachmentConfig,
  Placement,
  Platform,
  ResourceLimits,
  ResourceRequirements,
  Resources,
  RestartCondition,
  RestartPolicy,
  TaskSpec,
} from '#proto/types/specs.ts';
import { containerSpec } from './container-spec.ts';
import {
  count,
  type Field,
  filled,
  givenCount,
  givenWhole,
  list,
  mapped,
  object,
  shown,
  text,
  textMap,
  texts,
  whole,
  word,
} from './fields.ts';

/** A driver and its options; undefined without a name. */
export const driver = object<{ readonly name: string; readonly options?: Readonly<Record<string, string>> }>({
  name: ['Name', filled(text, '')],
  options: ['Options', textMap],
});

interface WireResource {
  readonly named?: { readonly kind: string; readonly value: string };
  readonly discrete?: { readonly kind: string; readonly value: number };
}

const wireResource = object<WireResource>({
  named: [
    'NamedResourceSpec',
    object<NonNullable<WireResource['named']>>({
      kind: ['Kind', filled(text, '')],
      value: ['Value', filled(text, '')],
    }),
  ],
  discrete: [
    'DiscreteResourceSpec',
    object<NonNullable<WireResource['discrete']>>({
      kind: ['Kind', filled(text, '')],
      value: ['Value', filled(givenWhole, 0)],
    }),
  ],
});

/** User-defined resources of a node, or of what a task reserves. */
export const genericResources: Field<readonly GenericResource[]> = list(
  mapped<GenericResource, WireResource>(wireResource, {
    decode({ named, discrete }, path) {
      if (named !== undefined) return { kind: named.kind, named: named.value };
      if (discrete !== undefined) return { kind: discrete.kind, count: discrete.value };
      throw new ShoalError('INVALID_ARGUMENT', `${path}: a generic resource is named or discrete`);
    },
    encode: (resource) =>
      'named' in resource
        ? { named: { kind: resource.kind, value: resource.named } }
        : { discrete: { kind: resource.kind, value: resource.count } },
  }),
);

const resources = object<ResourceRequirements>({
  limits: [
    'Limits',
    object<ResourceLimits>({
      nanoCpus: ['NanoCPUs', whole],
      memoryBytes: ['MemoryBytes', whole],
      pids: ['Pids', whole],
    }),
  ],
  reservations: [
    'Reservations',
    object<Resources>({
      nanoCpus: ['NanoCPUs', whole],
      memoryBytes: ['MemoryBytes', whole],
      generic: ['GenericResources', genericResources],
    }),
  ],
});

const restartPolicy = object<RestartPolicy>({
  condition: [
    'Condition',
    filled(
      word<RestartCondition>(
        ['none', 'on-failure', 'any'],
        (given) => `invalid RestartCondition: "${given}"`,
      ),
      'any',
    ),
  ],
  delayNs: ['Delay', givenWhole],
  maxAttempts: ['MaxAttempts', filled(givenCount, 0)],
  windowNs: ['Window', givenWhole],
});

interface WirePreference {
  readonly spread?: { readonly descriptor: string };
}

const preference = mapped<string, WirePreference>(
  object<WirePreference>({
    spread: [
      'Spread',
      object<NonNullable<WirePreference['spread']>>({ descriptor: ['SpreadDescriptor', filled(text, '')] }),
    ],
  }),
  {
    decode({ spread }, path) {
      if (spread === undefined)
        throw new ShoalError('INVALID_ARGUMENT', `${path}: a placement preference must be a Spread`);
      return spread.descriptor;
    },
    encode: (descriptor) => ({ spread: { descriptor } }),
  },
);

const placement = object<Placement>({
  constraints: ['Constraints', texts],
  preferences: ['Preferences', list(preference)],
  maxReplicas: ['MaxReplicas', count],
  platforms: [
    'Platforms',
    list(object<Platform>({ architecture: ['Architecture', text], os: ['OS', text] })),
  ],
});

export const networkAttachments = list(
  object<NetworkAttachmentConfig>({
    target: ['Target', filled(text, '')],
    aliases: ['Aliases', texts],
    driverOpts: ['DriverOpts', textMap],
  }),
);

const RUNTIME_DEFAULT = 'container';

const runtime: Field<string> = {
  decode(json, path) {
    const given = text.decode(json, path) ?? RUNTIME_DEFAULT;
    if (given === RUNTIME_DEFAULT) return undefined;
    throw new ShoalError('NOT_IMPLEMENTED', `${path}: the runtime "${given}" is not supported`);
  },
  encode: (value) => value ?? RUNTIME_DEFAULT,
};

/** TaskTemplate. */
export const taskSpec = filled(
  object<TaskSpec>(
    {
      container: ['ContainerSpec', filled(containerSpec, { image: '' })],
      resources: ['Resources', resources],
      restart: ['RestartPolicy', restartPolicy],
      placement: ['Placement', placement],
      networks: ['Networks', networkAttachments],
      logDriver: ['LogDriver', driver],
      forceUpdate: ['ForceUpdate', shown(count, 0)],
      runtime: ['Runtime', runtime],
    },
    {
      refused: {
        PluginSpec: 'tasks that are plugins',
        NetworkAttachmentSpec: 'tasks that only attach to a network',
      },
    },
  ),
  { container: { image: '' } },
);
