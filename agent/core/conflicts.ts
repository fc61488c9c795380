import { ShoalError } from '#proto/base/errors.ts';
import type { ContainerConfig, CreateRequest, HostConfig } from './container-types.ts';

type Check = readonly [
  is: (config: ContainerConfig, hostConfig: HostConfig) => unknown,
  /** After `conflicting options: `. */
  message: string,
];

const UNDEFINED = 'This would result in undefined behavior';

/** Of a container in the network namespace of another one. */
const WITH_OTHER: readonly Check[] = [
  [({ Hostname }) => Hostname, 'hostname and the network mode'],
  [(_, { Links }) => Links?.length, `container type network can't be used with links. ${UNDEFINED}`],
  [(_, { Dns }) => Dns?.length, 'dns and the network mode'],
  [(_, { ExtraHosts }) => ExtraHosts?.length, 'custom host-to-IP mapping and the network mode'],
  [
    (_, { PortBindings, PublishAllPorts }) =>
      PublishAllPorts || Object.values(PortBindings ?? {}).some((list) => list?.length),
    'port publishing and the container type network mode',
  ],
  [
    ({ ExposedPorts }) => Object.keys(ExposedPorts ?? {}).length,
    'port exposing and the container type network mode',
  ],
];

const WITH_HOST: readonly Check[] = [
  [(_, { Links }) => Links?.length, `host type networking can't be used with links. ${UNDEFINED}`],
];

/** Refuses what a container can't be at the same time. INVALID_ARGUMENT in Docker's words. */
export function checkConflicts({
  config,
  hostConfig,
  endpoints,
}: Pick<CreateRequest, 'config' | 'hostConfig' | 'endpoints'>): void {
  const { NetworkMode: mode = '', UTSMode } = hostConfig;
  if (UTSMode === 'host' && config.Hostname) throw conflict('hostname and the UTS mode');
  const checks = mode.startsWith('container:') ? WITH_OTHER : mode === 'host' ? WITH_HOST : [];
  for (const [is, message] of checks) if (is(config, hostConfig)) throw conflict(message);
  for (const network of ['bridge', 'default']) {
    const { IPv4Address, IPv6Address } = endpoints[network]?.IPAMConfig ?? {};
    if (IPv4Address || IPv6Address)
      throw new ShoalError(
        'INVALID_ARGUMENT',
        'user specified IP address is supported on user defined networks only',
      );
  }
}

const IN_USER_NAMESPACE: readonly (readonly [is: (hostConfig: HostConfig) => unknown, message: string])[] = [
  [
    ({ Privileged }) => Privileged,
    'privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode',
  ],
  [
    ({ NetworkMode }) => NetworkMode === 'host',
    "cannot share the host's network namespace when user namespaces are enabled",
  ],
  [
    ({ PidMode }) => PidMode === 'host',
    'cannot share the host PID namespace when user namespaces are enabled',
  ],
];

/** Refuses what a container in a user namespace can't have. INVALID_ARGUMENT in Docker's words. */
export function checkUserNamespace(hostConfig: HostConfig): void {
  const [, message] = IN_USER_NAMESPACE.find(([is]) => is(hostConfig)) ?? [];
  if (message !== undefined) throw new ShoalError('INVALID_ARGUMENT', message);
}

function conflict(what: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', `conflicting options: ${what}`);
}

const MODES: readonly (readonly [key: 'PidMode' | 'IpcMode' | 'UTSMode' | 'CgroupnsMode', RegExp, string])[] =
  [
    ['PidMode', /^(host|container:.+)?$/, 'PID mode'],
    ['IpcMode', /^(none|private|shareable|host|container:.+)?$/, 'IPC mode'],
    ['UTSMode', /^(host)?$/, 'UTS mode'],
    ['CgroupnsMode', /^(private|host)?$/, 'cgroup namespace mode'],
  ];

/** Modes of namespaces that there are. */
export function checkModes(hostConfig: HostConfig): void {
  if (hostConfig.NetworkMode === 'container:')
    throw new ShoalError(
      'INVALID_ARGUMENT',
      'Invalid network mode: invalid container format container:<name|id>',
    );
  for (const [key, valid, name] of MODES)
    if (!valid.test(hostConfig[key] ?? ''))
      throw new ShoalError('INVALID_ARGUMENT', `invalid ${name}: ${hostConfig[key]}`);
}
