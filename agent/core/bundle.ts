import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ShoalError } from '#proto/base/errors.ts';
import type { AttachmentInfo, Sandbox } from '../net/node-network.ts';
import { dnsOf, engineGroup } from './defaults.ts';
import { hostsFile, type NetworkFacts, resolvFile } from './etc-files.ts';
import { linkedHosts, linkedNow, linkedOrThrow, linkVariables } from './links.ts';
import { readMounts } from './linux/mounts.ts';
import { pathInRoot } from './linux/root-path.ts';
import { MS, mount } from './linux/sys.ts';
import type { UserNamespace } from './linux/user-namespace.ts';
import { namespacesOf, sharedWith, sourceFor, userNamespaceOf } from './namespaces.ts';
import { wantedCapabilities } from './oci/capabilities.ts';
import { type ContainerPlan, ociConfig } from './oci/config.ts';
import { bindMount, sharedMemory, tmpfsMount } from './oci/mounts.ts';
import { seccompChoice } from './oci/security.ts';
import type { OciConfig, OciMount } from './oci/types.ts';
import { type Accounts, resolveUser } from './oci/user.ts';
import type { EngineOpts, EngineParts } from './parts.ts';
import type { ContainerSpec, MountPoint } from './record.ts';

type Parts = Pick<EngineParts, 'opts' | 'machine' | 'containers' | 'seccomp' | 'runtime' | 'userNamespace'>;

const INIT_PROGRAMS = [
  '/usr/bin/catatonit',
  '/usr/libexec/podman/catatonit',
  '/usr/bin/tini-static',
  '/usr/bin/docker-init',
];
const INIT_PLACE = '/sbin/docker-init';

/** Control group of a container, below the root of each hierarchy. */
export function cgroupPath(
  { instance }: Pick<EngineOpts, 'instance'>,
  { id, hostConfig, cgroupParent }: ContainerSpec,
): string {
  const parent = hostConfig.CgroupParent;
  if (parent) return `/${parent.replace(/^\/+/, '')}/${id}`;
  return `${cgroupParent || engineGroup({ instance })}/${id}`;
}

/** Writes what crun needs to make a container whose root file system is mounted in its bundle. */
export class BundleWriter {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async write(spec: ContainerSpec, sandbox: Sandbox | undefined): Promise<void> {
    const filter = await this.#seccomp(spec);
    const config = this.#config(spec, sandbox, filter);
    writeFileSync(join(this.#parts.runtime.bundle(spec.id), 'config.json'), JSON.stringify(config));
  }

  /** What a container's processes may call, compiled; undefined: everything. */
  async #seccomp(spec: ContainerSpec): Promise<string | undefined> {
    const { machine, seccomp } = this.#parts;
    const wanted = wantedCapabilities(spec.hostConfig);
    const choice = machine.seccomp ? seccompChoice(spec.hostConfig, wanted) : 'unconfined';
    if (choice === 'unconfined') return undefined;
    return choice === 'default' ? seccomp.forCapabilities(wanted) : seccomp.forProfile(choice);
  }

  #config(spec: ContainerSpec, sandbox: Sandbox | undefined, filter: string | undefined): OciConfig {
    const { opts, machine, containers } = this.#parts;
    const { config, hostConfig } = spec;
    const withInit = hostConfig.Init ?? false;
    const command = [spec.path, ...spec.args];
    const propagation = rootPropagation(spec.mounts);
    const users = userNamespaceOf(spec, this.#parts);
    const fromLinks = linkVariables(spec.name, linkedOrThrow(spec, containers));
    const plan: ContainerPlan = {
      config: { ...config, Env: [...fromLinks, ...(config.Env ?? [])] },
      hostConfig,
      args: withInit ? [INIT_PLACE, '--', ...command] : command,
      hostname: this.hostnameOf(spec),
      user: resolveUser(config.User ?? '', hostConfig.GroupAdd ?? [], this.#accounts(spec.id)),
      namespaces: namespacesOf(spec, sandbox, containers, users),
      mounts: [
        ...this.#sharedMemory(spec),
        ...this.#etcFiles(spec, sandbox),
        ...(withInit ? [bindMount(initProgram(), INIT_PLACE, ['bind', 'ro'])] : []),
        ...spec.mounts.map((point) => ociMount(point, users)),
      ],
      cgroupsPath: cgroupPath(opts, spec),
      machine,
      ...(filter === undefined ? {} : { seccomp: filter }),
      ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
      ...(users === undefined ? {} : { idMaps: users.maps }),
    };
    return ociConfig(plan);
  }

  /** Containers in somebody else's network namespace go by that one's name. */
  hostnameOf({ config, hostConfig }: ContainerSpec): string {
    const { machine, containers } = this.#parts;
    const other = sharedWith(hostConfig.NetworkMode, containers);
    return config.Hostname || (other ? this.hostnameOf(other.spec) : machine.hostname);
  }

  #accounts(id: string): Accounts {
    const root = join(this.#parts.runtime.bundle(id), 'rootfs');
    const read = (path: string): string => {
      try {
        return readFileSync(pathInRoot(root, path), 'utf8');
      } catch {
        return '';
      }
    };
    return { passwd: read('/etc/passwd'), group: read('/etc/group') };
  }

  #sharedMemory(spec: ContainerSpec): OciMount[] {
    const { IpcMode = 'private', ShmSize = 0 } = spec.hostConfig;
    const { containers, runtime } = this.#parts;
    const other = sharedWith(IpcMode, containers);
    const options = ['rbind', 'rw', 'nosuid', 'noexec', 'nodev'];
    if (IpcMode === 'none') return [];
    if (IpcMode === 'host') return [bindMount('/dev/shm', '/dev/shm', options)];
    if (other) return [bindMount(join(runtime.bundle(other.id), 'shm'), '/dev/shm', options)];
    if (IpcMode !== 'shareable') return [sharedMemory(ShmSize)];
    const folder = join(runtime.bundle(spec.id), 'shm');
    mkdirSync(folder);
    const owner = userNamespaceOf(spec, this.#parts)?.root ?? { uid: 0, gid: 0 };
    const data = `mode=1777,size=${ShmSize},uid=${owner.uid},gid=${owner.gid}`;
    mount('shm', folder, 'tmpfs', MS.NOSUID | MS.NODEV | MS.NOEXEC, data);
    return [bindMount(folder, '/dev/shm', options)];
  }

  #etcFiles(spec: ContainerSpec, sandbox: Sandbox | undefined): OciMount[] {
    const { containers, runtime } = this.#parts;
    const other = sharedWith(spec.hostConfig.NetworkMode, containers);
    const folder = runtime.bundle(other?.id ?? spec.id);
    if (!other) this.writeEtcFiles(spec, sandbox);
    const options = ['rbind', 'rprivate'];
    return ['hosts', 'hostname', 'resolv.conf']
      .filter((file) => existsSync(join(folder, file)))
      .map((file) => bindMount(join(folder, file), `/etc/${file}`, options));
  }

  /** Also called when a running container joins or leaves a network. */
  writeEtcFiles(spec: ContainerSpec, sandbox: Sandbox | undefined): void {
    const folder = this.#parts.runtime.bundle(spec.id);
    const [gateway] = (sandbox?.attachments ?? []).map((attachment) => attachment.gateway);
    const network: NetworkFacts = {
      host: spec.hostConfig.NetworkMode === 'host',
      addresses: (sandbox?.attachments ?? []).flatMap(addressesOf),
      ...(gateway === undefined ? {} : { gateway }),
      links: linkedHosts(linkedNow(spec, this.#parts.containers)),
      ...(sandbox?.nameserver === undefined ? {} : { nameserver: sandbox.nameserver }),
    };
    const { defaults } = this.#parts.opts;
    const hostConfig = { ...spec.hostConfig, Dns: dnsOf(spec.hostConfig, defaults) };
    const resolv = resolvFile({ hostConfig }, network, machineFile('/etc/resolv.conf'));
    const owner = userNamespaceOf(spec, this.#parts)?.root;
    const write = (name: string, text: string): void => {
      writeFileSync(join(folder, name), text);
      if (owner) chownSync(join(folder, name), owner.uid, owner.gid);
    };
    write('hosts', hostsFile(spec, network, machineFile('/etc/hosts')));
    write('hostname', `${this.hostnameOf(spec)}\n`);
    write('resolv.conf', resolv);
  }
}

/** Without prefix. */
function addressesOf({ address, ipv6 }: AttachmentInfo): string[] {
  return [address, ...(ipv6 ? [ipv6.address] : [])].map((cidr) => cidr.split('/')[0] as string);
}

function machineFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function ociMount(point: MountPoint, users: UserNamespace | undefined): OciMount {
  if (point.type === 'tmpfs') return tmpfsMount(point.destination, point.options ?? []);
  if (!existsSync(point.source))
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `invalid mount config for type "bind": bind source path does not exist: ${point.source}`,
    );
  const bind = point.nonRecursive ? 'bind' : 'rbind';
  return bindMount(sourceFor(users, point), point.destination, [
    bind,
    point.rw ? 'rw' : 'ro',
    point.propagation || 'rprivate',
  ]);
}

/** Mounts that are to show on the other side need the container's root to let them through. */
function rootPropagation(mounts: readonly MountPoint[]): string | undefined {
  const wanted = mounts.map(({ propagation }) => propagation.replace(/^r/, ''));
  const shared = mounts.filter((_mount, index) => wanted[index] === 'shared');
  for (const { source } of shared) {
    const under = mountOf(source);
    if (under?.propagation !== 'shared')
      throw new ShoalError(
        'INTERNAL',
        `path ${source} is mounted on ${under?.target ?? '/'} but it is not a shared mount`,
      );
  }
  if (shared.length > 0) return 'shared';
  return wanted.includes('slave') ? 'rslave' : undefined;
}

function mountOf(path: string): ReturnType<typeof readMounts>[number] | undefined {
  return readMounts()
    .filter(({ target }) => target === '/' || path === target || path.startsWith(`${target}/`))
    .sort((a, b) => a.target.length - b.target.length)
    .at(-1);
}

function initProgram(): string {
  const found = INIT_PROGRAMS.find((path) => existsSync(path));
  if (found) return found;
  throw new ShoalError(
    'FAILED_PRECONDITION',
    'docker-init: no init program on this machine: install catatonit, or run without --init',
  );
}
