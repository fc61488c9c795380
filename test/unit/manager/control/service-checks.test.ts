import test from 'ava';
import { checkServiceSpec } from '#manager/control/service-checks.ts';
import { codeOf, type FailureCode, messageOf } from '#proto/base/errors.ts';
import type { ContainerSpec, PortConfig, ServiceSpec, TaskSpec } from '#proto/types/specs.ts';

function spec(more: Partial<ServiceSpec> = {}): ServiceSpec {
  return { name: 'web', task: { container: { image: 'nginx' } }, mode: { kind: 'global' }, ...more };
}

const task = (more: Partial<TaskSpec>): ServiceSpec =>
  spec({ task: { container: { image: 'nginx' }, ...more } });
const container = (more: Partial<ContainerSpec>): ServiceSpec =>
  spec({ task: { container: { image: 'nginx', ...more } } });
const port = (more: Partial<PortConfig>): PortConfig => ({
  protocol: 'tcp',
  targetPort: 80,
  publishMode: 'ingress',
  ...more,
});
const MIB = 1024 * 1024;

const refused: readonly (readonly [title: string, spec: ServiceSpec, message: string, code?: FailureCode])[] =
  [
    ['no name', spec({ name: '' }), 'meta: name must be provided'],
    ['a name that is none of the DNS', spec({ name: 'a b' }), 'name must be valid as a DNS name component'],
    ['a name that ends in a dash', spec({ name: 'ab-' }), 'name must be valid as a DNS name component'],
    ['a long name', spec({ name: 'a'.repeat(64) }), 'name must be 63 characters or fewer'],
    [
      'less than a thousandth of a CPU',
      task({ resources: { limits: { nanoCpus: 500_000 } } }),
      'invalid cpu value 0.0005: Must be at least 0.001',
    ],
    [
      'next to no CPU',
      task({ resources: { reservations: { nanoCpus: 1 } } }),
      'invalid cpu value 1e-09: Must be at least 0.001',
    ],
    [
      'less than 4 MiB',
      task({ resources: { reservations: { memoryBytes: 4 * MIB - 1 } } }),
      'invalid memory value 4194303: Must be at least 4MiB',
    ],
    [
      'negative restart delay',
      task({ restart: { delayNs: -1 } }),
      'TaskSpec: restart-delay cannot be negative',
    ],
    [
      'negative restart window',
      task({ restart: { windowNs: -1 } }),
      'TaskSpec: restart-window cannot be negative',
    ],
    [
      'a constraint without operator',
      task({ placement: { constraints: ['node.role'] } }),
      'constraint expected one operator from ==, !=',
    ],
    ['no image', container({ image: '' }), 'ContainerSpec: image reference must be provided'],
    [
      'an image that is no name of one',
      container({ image: 'UPPER/Case:1' }),
      'ContainerSpec: "UPPER/Case:1" is not a valid repository/tag',
    ],
    [
      'two mounts at one place',
      container({
        mounts: [
          { type: 'tmpfs', target: '/t' },
          { type: 'volume', target: '/t' },
        ],
      }),
      'ContainerSpec: duplicate mount point: /t',
    ],
    [
      'a health check every microsecond',
      container({ healthcheck: { intervalNs: 1000 } }),
      'ContainerSpec: Interval in HealthConfig cannot be less than 1ms',
    ],
    [
      'a health check without time',
      container({ healthcheck: { timeoutNs: 1 } }),
      'ContainerSpec: Timeout in HealthConfig cannot be less than 1ms',
    ],
    [
      'a start period in the past',
      container({ healthcheck: { startPeriodNs: -5 } }),
      'ContainerSpec: StartPeriod in HealthConfig cannot be less than 1ms',
    ],
    [
      'negative retries',
      container({ healthcheck: { retries: -1 } }),
      'ContainerSpec: Retries in HealthConfig cannot be negative',
    ],
    [
      'jobs',
      spec({ mode: { kind: 'replicated-job', maxConcurrent: 1, totalCompletions: 1 } }),
      'services of mode replicated-job are not supported yet',
      'NOT_IMPLEMENTED',
    ],
    [
      'jobs on every node',
      spec({ mode: { kind: 'global-job' } }),
      'services of mode global-job are not supported yet',
      'NOT_IMPLEMENTED',
    ],
    ['negative update delay', spec({ update: { delayNs: -1 } }), 'TaskSpec: update-delay cannot be negative'],
    [
      'negative monitoring',
      spec({ rollback: { monitorNs: -1 } }),
      'TaskSpec: update-monitor cannot be negative',
    ],
    [
      'a failure ratio above one',
      spec({ update: { maxFailureRatio: 1.1 } }),
      'TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1',
    ],
    [
      'a negative failure ratio',
      spec({ update: { maxFailureRatio: -0.1 } }),
      'TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1',
    ],
    [
      'the mesh without virtual addresses',
      spec({ endpoint: { mode: 'dnsrr', ports: [port({})] } }),
      "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
    ],
    [
      'one port published twice',
      spec({ endpoint: { ports: [port({ publishedPort: 1 }), port({ publishedPort: 1, targetPort: 81 })] } }),
      'EndpointSpec: duplicate published ports provided',
    ],
    [
      'ports beyond the last',
      spec({ endpoint: { ports: [port({ publishedPort: 65_536 })] } }),
      'EndpointSpec: invalid port 65536:80: ports are 1 to 65535',
    ],
  ];

for (const [title, given, message, code = 'INVALID_ARGUMENT'] of refused) {
  test(`refused in Swarm's words: ${title}`, (t) => {
    const error = t.throws(() => checkServiceSpec(given));
    t.is(messageOf(error), message);
    t.is(codeOf(error), code);
  });
}

const accepted: readonly (readonly [title: string, spec: ServiceSpec])[] = [
  ['the least', spec()],
  ['names with dashes and underscores', spec({ name: 'a-b__c9' })],
  ['the least resources', task({ resources: { limits: { nanoCpus: 1_000_000, memoryBytes: 4 * MIB } } })],
  ['no limit at all', task({ resources: { limits: { nanoCpus: 0, memoryBytes: 0 } } })],
  ['health times left to the image', container({ healthcheck: { intervalNs: 0, startPeriodNs: 1_000_000 } })],
  [
    'host ports without virtual addresses',
    spec({ endpoint: { mode: 'dnsrr', ports: [port({ publishMode: 'host' })] } }),
  ],
  [
    'one number for two protocols, and ports left to choose',
    spec({
      endpoint: {
        ports: [
          port({ publishedPort: 53 }),
          port({ publishedPort: 53, protocol: 'udp' }),
          port({}),
          port({}),
        ],
      },
    }),
  ],
  [
    'images with registry, port, tag and digest',
    container({ image: `r.example:5000/a/b_c:t@sha256:${'a'.repeat(64)}` }),
  ],
];

for (const [title, given] of accepted) {
  test(`accepted: ${title}`, (t) => t.notThrows(() => checkServiceSpec(given)));
}
