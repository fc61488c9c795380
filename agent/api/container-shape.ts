import type { Kind, Shape } from './body-shape.ts';

function all(kind: Kind, ...fields: readonly string[]): Shape {
  return Object.fromEntries(fields.map((field) => [field, kind]));
}

const HEALTH: Shape = {
  Test: 'strings',
  ...all('number', 'Interval', 'Timeout', 'StartPeriod', 'StartInterval', 'Retries'),
};

export const HOST_CONFIG: Shape = {
  ...all('string', 'ContainerIDFile', 'NetworkMode', 'VolumeDriver', 'CgroupnsMode', 'IpcMode', 'Cgroup'),
  ...all('string', 'PidMode', 'UTSMode', 'UsernsMode', 'Runtime', 'Isolation', 'CgroupParent'),
  ...all('string', 'CpusetCpus', 'CpusetMems'),
  ...all(
    'boolean',
    'AutoRemove',
    'Privileged',
    'PublishAllPorts',
    'ReadonlyRootfs',
    'Init',
    'OomKillDisable',
  ),
  ...all('number', 'OomScoreAdj', 'ShmSize', 'CpuShares', 'Memory', 'NanoCpus', 'BlkioWeight', 'PidsLimit'),
  ...all('number', 'CpuPeriod', 'CpuQuota', 'CpuRealtimePeriod', 'CpuRealtimeRuntime'),
  ...all('number', 'MemoryReservation', 'MemorySwap', 'MemorySwappiness'),
  ...all('strings', 'Binds', 'VolumesFrom', 'Dns', 'DnsOptions', 'DnsSearch', 'ExtraHosts', 'GroupAdd'),
  ...all('strings', 'Links', 'SecurityOpt', 'MaskedPaths', 'ReadonlyPaths', 'DeviceCgroupRules'),
  ...all('words', 'CapAdd', 'CapDrop'),
  ...all('map', 'Annotations', 'StorageOpt', 'Tmpfs', 'Sysctls'),
  ...all('objects', 'Mounts', 'Devices', 'DeviceRequests', 'Ulimits', 'BlkioWeightDevice'),
  ...all(
    'objects',
    'BlkioDeviceReadBps',
    'BlkioDeviceWriteBps',
    'BlkioDeviceReadIOps',
    'BlkioDeviceWriteIOps',
  ),
  PortBindings: 'object',
  LogConfig: { Type: 'string', Config: 'map' },
  RestartPolicy: { Name: 'string', MaximumRetryCount: 'number' },
};

/** The body of POST /containers/create. */
export const CONTAINER: Shape = {
  ...all('string', 'Hostname', 'Domainname', 'User', 'Image', 'WorkingDir', 'MacAddress', 'StopSignal'),
  ...all('boolean', 'AttachStdin', 'AttachStdout', 'AttachStderr', 'Tty', 'OpenStdin', 'StdinOnce'),
  ...all('boolean', 'ArgsEscaped', 'NetworkDisabled'),
  ...all('strings', 'Env', 'OnBuild'),
  ...all('words', 'Cmd', 'Entrypoint', 'Shell'),
  ...all('object', 'ExposedPorts', 'Volumes'),
  StopTimeout: 'number',
  Labels: 'map',
  Healthcheck: HEALTH,
  HostConfig: HOST_CONFIG,
  NetworkingConfig: { EndpointsConfig: 'object' },
};

/** The body of POST /containers/{id}/exec. */
export const EXEC: Shape = {
  ...all('string', 'User', 'WorkingDir', 'DetachKeys'),
  ...all('boolean', 'AttachStdin', 'AttachStdout', 'AttachStderr', 'Tty', 'Privileged'),
  Env: 'strings',
  Cmd: 'words',
};

/** The body of POST /networks/create. */
export const NETWORK: Shape = {
  ...all('string', 'Name', 'Driver', 'Scope'),
  ...all('boolean', 'Internal', 'Attachable', 'Ingress', 'EnableIPv4', 'EnableIPv6', 'ConfigOnly'),
  ...all('map', 'Options', 'Labels'),
  ConfigFrom: { Network: 'string' },
  IPAM: { Driver: 'string', Options: 'map', Config: 'objects' },
};

/** The body of POST /volumes/create. */
export const VOLUME: Shape = {
  ...all('string', 'Name', 'Driver'),
  ...all('map', 'DriverOpts', 'Labels'),
};
