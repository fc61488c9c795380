import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import { decodeBody } from '#manager/api/convert/fields.ts';
import { withoutLaterFields } from '#manager/api/convert/gates.ts';
import { serviceSpec } from '#manager/api/convert/service-spec.ts';
import { withAuth } from '#manager/control/registry-auth.ts';
import { codeOf, type FailureCode, messageOf } from '#proto/base/errors.ts';
import type { ServiceSpec } from '#proto/types/specs.ts';
import { anyServiceSpec } from '#test/support/arbitrary-specs.ts';

type Json = Record<string, unknown>;

const examples = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../../data/moby/cluster-examples.json'), 'utf8'),
) as Record<'serviceCreate' | 'serviceUpdate', Json> & { readonly service: { readonly Spec: Json } };

/** Any spec that the API can be given: there the runtime is always the container's. */
const anySpec = anyServiceSpec.map(
  ({ task: { runtime: _, ...task }, ...spec }): ServiceSpec => ({ ...spec, task }),
);

function viaJson(spec: ServiceSpec): ServiceSpec {
  return decodeBody(serviceSpec, JSON.parse(JSON.stringify(serviceSpec.encode(spec))));
}

/** Whether everything that `part` says is also said by `whole`. Zero and empty say nothing. */
function says(whole: unknown, part: unknown): boolean {
  if (part === undefined || part === 0 || part === '' || part === false) return true;
  if (Array.isArray(part))
    return part.length === 0 || (Array.isArray(whole) && part.every((item, at) => says(whole[at], item)));
  if (typeof part === 'object' && part !== null)
    return Object.entries(part).every(([key, value]) => says((whole as Json | undefined)?.[key], value));
  return whole === part;
}

test('a spec that is read and sent back unchanged is the same spec', (t) => {
  fc.assert(
    fc.property(anySpec, (spec) => {
      const read = viaJson(spec);
      return isDeepStrictEqual(viaJson(read), read);
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test('nothing that a spec says is lost on the way, but for the credentials, which go nowhere', (t) => {
  fc.assert(
    fc.property(anySpec, (spec) => says(viaJson(spec), withAuth(spec, undefined))),
    { numRuns: 300 },
  );
  t.pass();
});

test("the examples of the API's description come back as they were sent", (t) => {
  const { Secrets, ...container } = (examples.serviceCreate['TaskTemplate'] as { ContainerSpec: Json })
    .ContainerSpec;
  t.truthy(Secrets, 'the example has a secret, which is another promise');
  const create = {
    ...examples.serviceCreate,
    TaskTemplate: { ...(examples.serviceCreate['TaskTemplate'] as Json), ContainerSpec: container },
  };
  for (const sent of [create, examples.serviceUpdate, examples.service.Spec]) {
    const back = serviceSpec.encode(decodeBody(serviceSpec, sent));
    t.true(says(back, sent), JSON.stringify(back));
  }
});

test('what Docker always shows is always there', (t) => {
  const spec = decodeBody(serviceSpec, {
    Name: 'a',
    TaskTemplate: { ContainerSpec: { Image: 'i', Privileges: {} }, RestartPolicy: {} },
    UpdateConfig: {},
    EndpointSpec: { Ports: [{ TargetPort: 80 }] },
  });
  t.deepEqual(serviceSpec.encode(spec), {
    Name: 'a',
    Labels: {},
    TaskTemplate: {
      ContainerSpec: {
        Image: 'i',
        Privileges: { CredentialSpec: null, SELinuxContext: null, NoNewPrivileges: false },
        Isolation: 'default',
      },
      RestartPolicy: { Condition: 'any', MaxAttempts: 0 },
      ForceUpdate: 0,
      Runtime: 'container',
    },
    Mode: { Replicated: { Replicas: 1 } },
    UpdateConfig: { Parallelism: 0, FailureAction: 'pause', MaxFailureRatio: 0, Order: 'stop-first' },
    EndpointSpec: { Mode: 'vip', Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishMode: 'ingress' }] },
  });
});

test('lists and maps that are empty are none, as Docker leaves them out; zero is told from absent where it does', (t) => {
  const body = {
    Name: 'a',
    Labels: {},
    TaskTemplate: {
      ContainerSpec: {
        Image: 'i',
        Env: [],
        Args: null,
        Labels: {},
        Init: false,
        StopGracePeriod: 0,
        DNSConfig: {},
      },
      Resources: { Limits: {}, Reservations: { NanoCPUs: 0 } },
      Placement: {},
      ForceUpdate: 0,
    },
    Mode: { Replicated: { Replicas: 0 } },
  };
  t.deepEqual(decodeBody(serviceSpec, body), {
    name: 'a',
    task: {
      container: { image: 'i', init: false, stopGracePeriodNs: 0, dns: {} },
      resources: { limits: {}, reservations: {} },
      placement: {},
    },
    mode: { kind: 'replicated', replicas: 0 },
  });
});

test('networks of the service are those of its tasks when these have none', (t) => {
  const networks = [{ Target: 'front' }];
  const task = { ContainerSpec: { Image: 'i' } };
  const old = decodeBody(serviceSpec, { Name: 'a', TaskTemplate: task, Networks: networks });
  t.deepEqual(old.task.networks, [{ target: 'front' }]);
  const both = { ...task, Networks: [{ Target: 'back', Aliases: ['b'] }] };
  const now = decodeBody(serviceSpec, { Name: 'a', TaskTemplate: both, Networks: networks });
  t.deepEqual(now.task.networks, [{ target: 'back', aliases: ['b'] }]);
});

const container = (more: object): object => ({ TaskTemplate: { ContainerSpec: { Image: 'i', ...more } } });

const refused: readonly (readonly [title: string, body: unknown, code: FailureCode, message: string])[] = [
  [
    'secrets',
    container({ Secrets: [{ SecretName: 's' }] }),
    'NOT_IMPLEMENTED',
    'TaskTemplate.ContainerSpec.Secrets: secrets are not supported yet',
  ],
  [
    'configs',
    container({ Configs: [{ ConfigName: 's' }] }),
    'NOT_IMPLEMENTED',
    'TaskTemplate.ContainerSpec.Configs: configs are not supported yet',
  ],
  [
    'credential specs',
    container({ Privileges: { CredentialSpec: { File: 'f' } } }),
    'NOT_IMPLEMENTED',
    'TaskTemplate.ContainerSpec.Privileges.CredentialSpec: credential specs are not supported yet',
  ],
  [
    'cluster volumes',
    container({ Mounts: [{ Type: 'cluster', Target: '/v' }] }),
    'NOT_IMPLEMENTED',
    'TaskTemplate.ContainerSpec.Mounts[0].Type: mounts of type cluster are not supported yet',
  ],
  [
    'unknown mounts',
    container({ Mounts: [{ Type: 'sea', Target: '/v' }] }),
    'INVALID_ARGUMENT',
    'invalid MountType: "sea"',
  ],
  [
    'plugins as tasks',
    { TaskTemplate: { Runtime: 'plugin' } },
    'NOT_IMPLEMENTED',
    'TaskTemplate.Runtime: the runtime "plugin" is not supported',
  ],
  [
    'two modes',
    { Mode: { Replicated: {}, Global: {} } },
    'INVALID_ARGUMENT',
    'must specify only one service mode',
  ],
  [
    'unknown restart conditions',
    { TaskTemplate: { RestartPolicy: { Condition: 'maybe' } } },
    'INVALID_ARGUMENT',
    'invalid RestartCondition: "maybe"',
  ],
  [
    'unknown failure actions',
    { UpdateConfig: { FailureAction: 'cry' } },
    'INVALID_ARGUMENT',
    'unrecognized update failure action cry',
  ],
  [
    'unknown orders',
    { UpdateConfig: { Order: 'never' } },
    'INVALID_ARGUMENT',
    'unrecognized update order never',
  ],
  [
    'unknown endpoint modes',
    { EndpointSpec: { Mode: 'x' } },
    'INVALID_ARGUMENT',
    'invalid resolution mode: "x"',
  ],
  [
    'texts that are numbers',
    container({ Hostname: 5 }),
    'INVALID_ARGUMENT',
    'invalid JSON: TaskTemplate.ContainerSpec.Hostname must be a string, not a number',
  ],
  [
    'lists with holes',
    container({ Env: ['a', null] }),
    'INVALID_ARGUMENT',
    'invalid JSON: TaskTemplate.ContainerSpec.Env[1] must be something, not nothing',
  ],
  [
    'numbers beyond what is exact',
    { Mode: { Replicated: { Replicas: 2 ** 60 } } },
    'INVALID_ARGUMENT',
    'invalid JSON: Mode.Replicated.Replicas must be a count below 2^53, not a number',
  ],
  [
    'negative counts',
    { Mode: { Replicated: { Replicas: -1 } } },
    'INVALID_ARGUMENT',
    'invalid JSON: Mode.Replicated.Replicas must be a count below 2^53, not a number',
  ],
  ['no object at all', [], 'INVALID_ARGUMENT', 'invalid JSON: the body must be an object, not a list'],
];

for (const [title, body, code, message] of refused) {
  test(`refused with a word: ${title}`, (t) => {
    const error = t.throws(() => decodeBody(serviceSpec, body));
    t.is(messageOf(error), message);
    t.is(codeOf(error), code);
  });
}

test('fields that say nothing are not refused, and unknown ones are passed over', (t) => {
  const body = container({
    Secrets: [],
    Configs: null,
    Privileges: { CredentialSpec: null, SELinuxContext: { Disable: false, User: '' } },
    Sea: { Shell: 1 },
  });
  t.deepEqual(decodeBody(serviceSpec, body).task.container, { image: 'i', privileges: {} });
});

const gated: readonly (readonly [minor: number, body: object, gone: object])[] = [
  [39, container({ Sysctls: { a: 'b' } }), container({})],
  [40, container({ Ulimits: [{ Name: 'n' }], CapabilityAdd: ['X'] }), container({})],
  [40, { Mode: { GlobalJob: {} } }, { Mode: {} }],
  [
    43,
    container({ Healthcheck: { StartInterval: 1, Retries: 2 } }),
    container({ Healthcheck: { Retries: 2 } }),
  ],
  [
    45,
    container({ Mounts: [{ TmpfsOptions: { Options: [['x']], Mode: 1 } }] }),
    container({ Mounts: [{ TmpfsOptions: { Mode: 1 } }] }),
  ],
];

test('what a version of the API does not have yet is passed over in requests of that version, and kept in later ones', (t) => {
  for (const [minor, body, gone] of gated) {
    t.deepEqual(withoutLaterFields(body, minor), gone);
    t.deepEqual(withoutLaterFields(body, minor + 1), body);
  }
});
