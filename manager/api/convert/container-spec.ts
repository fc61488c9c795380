import { ShoalError } from '#proto/base/errors.ts';
import type { ContainerSpec, Healthcheck, Mount, Privileges, Ulimit } from '#proto/types/specs.ts';
import {
  count,
  type Field,
  filled,
  flag,
  givenFlag,
  givenWhole,
  list,
  object,
  shown,
  text,
  textMap,
  texts,
  type Whole,
  whole,
} from './fields.ts';

const MOUNT_TYPES: readonly Mount['type'][] = ['bind', 'volume', 'tmpfs'];
const MOUNT_TYPES_TO_COME = ['cluster', 'image', 'npipe'];

const mountType: Whole<Mount['type']> = {
  decode(json, path) {
    const given = text.decode(json, path) ?? 'bind';
    const type = MOUNT_TYPES.find((each) => each === given);
    if (type !== undefined) return type;
    if (MOUNT_TYPES_TO_COME.includes(given))
      throw new ShoalError('NOT_IMPLEMENTED', `${path}: mounts of type ${given} are not supported yet`);
    throw new ShoalError('INVALID_ARGUMENT', `invalid MountType: "${given}"`);
  },
  encode: (type) => type,
};

const mount = object<Mount>(
  {
    type: ['Type', mountType],
    source: ['Source', text],
    target: ['Target', filled(text, '')],
    readOnly: ['ReadOnly', flag],
    consistency: ['Consistency', text],
    bind: [
      'BindOptions',
      object<NonNullable<Mount['bind']>>(
        {
          propagation: ['Propagation', text],
          nonRecursive: ['NonRecursive', flag],
          createMountpoint: ['CreateMountpoint', flag],
        },
        {
          refused: {
            ReadOnlyNonRecursive: 'mounts whose inner mounts stay writable',
            ReadOnlyForceRecursive: 'mounts that must be read-only all through',
          },
        },
      ),
    ],
    volume: [
      'VolumeOptions',
      object<NonNullable<Mount['volume']>>({
        noCopy: ['NoCopy', flag],
        labels: ['Labels', textMap],
        subpath: ['Subpath', text],
        driver: [
          'DriverConfig',
          object<NonNullable<NonNullable<Mount['volume']>['driver']>>({
            name: ['Name', text],
            options: ['Options', textMap],
          }),
        ],
      }),
    ],
    tmpfs: [
      'TmpfsOptions',
      object<NonNullable<Mount['tmpfs']>>(
        { sizeBytes: ['SizeBytes', whole], mode: ['Mode', count] },
        { refused: { Options: 'options of tmpfs mounts' } },
      ),
    ],
  },
  { refused: { ClusterOptions: 'cluster volumes', ImageOptions: 'mounts of images' } },
);

const privileges = object<Privileges>(
  {
    noNewPrivileges: ['NoNewPrivileges', shown(flag, false)],
    seccomp: [
      'Seccomp',
      object<NonNullable<Privileges['seccomp']>>({
        mode: ['Mode', filled(text, '')],
        profile: ['Profile', text],
      }),
    ],
    apparmor: ['AppArmor', object<NonNullable<Privileges['apparmor']>>({ mode: ['Mode', filled(text, '')] })],
  },
  {
    constant: { CredentialSpec: null, SELinuxContext: null },
    refused: { CredentialSpec: 'credential specs', SELinuxContext: 'SELinux contexts' },
  },
);

const healthcheck = object<Healthcheck>({
  test: ['Test', texts],
  intervalNs: ['Interval', whole],
  timeoutNs: ['Timeout', whole],
  startPeriodNs: ['StartPeriod', whole],
  startIntervalNs: ['StartInterval', whole],
  retries: ['Retries', whole],
});

const ISOLATION_DEFAULT = 'default';

const isolation: Field<string> = {
  decode(json, path) {
    const given = text.decode(json, path);
    return given === ISOLATION_DEFAULT ? undefined : given;
  },
  encode: (value) => value ?? ISOLATION_DEFAULT,
};

/** TaskTemplate.ContainerSpec. `command` is the entrypoint there, too; credentials are told to nobody. */
export const containerSpec = object<Omit<ContainerSpec, 'registryAuth'>>(
  {
    image: ['Image', filled(text, '')],
    labels: ['Labels', textMap],
    command: ['Command', texts],
    args: ['Args', texts],
    hostname: ['Hostname', text],
    env: ['Env', texts],
    dir: ['Dir', text],
    user: ['User', text],
    groups: ['Groups', texts],
    privileges: ['Privileges', privileges],
    init: ['Init', givenFlag],
    stopSignal: ['StopSignal', text],
    tty: ['TTY', flag],
    openStdin: ['OpenStdin', flag],
    readOnly: ['ReadOnly', flag],
    mounts: ['Mounts', list(mount)],
    stopGracePeriodNs: ['StopGracePeriod', givenWhole],
    healthcheck: ['Healthcheck', healthcheck],
    hosts: ['Hosts', texts],
    dns: [
      'DNSConfig',
      object<NonNullable<ContainerSpec['dns']>>({
        nameservers: ['Nameservers', texts],
        search: ['Search', texts],
        options: ['Options', texts],
      }),
    ],
    isolation: ['Isolation', isolation],
    sysctls: ['Sysctls', textMap],
    capabilityAdd: ['CapabilityAdd', texts],
    capabilityDrop: ['CapabilityDrop', texts],
    ulimits: [
      'Ulimits',
      list(
        object<Ulimit>({
          name: ['Name', filled(text, '')],
          hard: ['Hard', filled(givenWhole, 0)],
          soft: ['Soft', filled(givenWhole, 0)],
        }),
      ),
    ],
    oomScoreAdj: ['OomScoreAdj', whole],
  },
  {
    refused: {
      Secrets: 'secrets',
      Configs: 'configs',
      Devices: 'devices',
      DeviceRequests: 'device requests',
      Privileged: 'privileged tasks',
    },
  },
);
