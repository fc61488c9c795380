import type * as wire from '../gen/shoal.ts';
import type {
  ContainerSpec,
  DnsConfig,
  Healthcheck,
  Mount,
  Privileges,
  RegistryAuth,
  Ulimit,
} from '../types/specs.ts';
import { flag, int64, items, optional, shape, text, textMap, texts, uint32, uint64, word } from './shape.ts';

type Options<T, Key extends keyof T> = NonNullable<T[Key]>;

const bind = shape<Options<Mount, 'bind'>, wire.MountBind>('bind options', {
  propagation: optional(text),
  nonRecursive: optional(flag),
  createMountpoint: optional(flag),
});

const volumeDriver = shape<Options<Options<Mount, 'volume'>, 'driver'>, wire.MountVolumeDriver>(
  'volume driver',
  { name: optional(text), options: optional(textMap) },
);

const volume = shape<Options<Mount, 'volume'>, wire.MountVolume>('volume options', {
  noCopy: optional(flag),
  labels: optional(textMap),
  subpath: optional(text),
  driver: optional(volumeDriver),
});

const tmpfs = shape<Options<Mount, 'tmpfs'>, wire.MountTmpfs>('tmpfs options', {
  sizeBytes: optional(int64),
  mode: optional(uint32),
});

const mount = shape<Mount, wire.Mount>('mount', {
  type: word<Mount['type']>('mount type', { bind: true, volume: true, tmpfs: true }),
  source: optional(text),
  target: text,
  readOnly: optional(flag),
  consistency: optional(text),
  bind: optional(bind),
  volume: optional(volume),
  tmpfs: optional(tmpfs),
});

const seccomp = shape<Options<Privileges, 'seccomp'>, wire.PrivilegesSeccomp>('seccomp', {
  mode: text,
  profile: optional(text),
});

const apparmor = shape<Options<Privileges, 'apparmor'>, wire.PrivilegesApparmor>('apparmor', { mode: text });

const privileges = shape<Privileges, wire.Privileges>('privileges', {
  noNewPrivileges: optional(flag),
  seccomp: optional(seccomp),
  apparmor: optional(apparmor),
});

const healthcheck = shape<Healthcheck, wire.Healthcheck>('healthcheck', {
  test: optional(texts),
  intervalNs: optional(int64),
  timeoutNs: optional(int64),
  startPeriodNs: optional(int64),
  startIntervalNs: optional(int64),
  retries: optional(uint64),
});

const dns = shape<DnsConfig, wire.DnsConfig>('DNS config', {
  nameservers: optional(texts),
  search: optional(texts),
  options: optional(texts),
});

const ulimit = shape<Ulimit, wire.Ulimit>('ulimit', { name: text, hard: int64, soft: int64 });

const registryAuth = shape<RegistryAuth, wire.RegistryAuth>('registry credentials', {
  username: optional(text),
  password: optional(text),
  identitytoken: optional(text),
  registrytoken: optional(text),
  serveraddress: optional(text),
});

export const containerSpec = shape<ContainerSpec, wire.ContainerSpec>('container spec', {
  image: text,
  labels: optional(textMap),
  command: optional(texts),
  args: optional(texts),
  hostname: optional(text),
  env: optional(texts),
  dir: optional(text),
  user: optional(text),
  groups: optional(texts),
  privileges: optional(privileges),
  init: optional(flag),
  stopSignal: optional(text),
  tty: optional(flag),
  openStdin: optional(flag),
  readOnly: optional(flag),
  mounts: optional(items(mount)),
  stopGracePeriodNs: optional(int64),
  healthcheck: optional(healthcheck),
  hosts: optional(texts),
  dns: optional(dns),
  isolation: optional(text),
  sysctls: optional(textMap),
  capabilityAdd: optional(texts),
  capabilityDrop: optional(texts),
  ulimits: optional(items(ulimit)),
  oomScoreAdj: optional(int64),
  registryAuth: optional(registryAuth),
});
