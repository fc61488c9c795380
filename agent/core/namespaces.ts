import { ShoalError } from '#proto/base/errors.ts';
import type { Sandbox } from '../net/node-network.ts';
import type { Container } from './container.ts';
import type { ContainerSet } from './container-set.ts';
import { namespaceFile } from './linux/process.ts';
import type { UserNamespace } from './linux/user-namespace.ts';
import type { Namespaces } from './oci/config.ts';
import type { EngineParts } from './parts.ts';
import type { ContainerSpec, MountPoint } from './record.ts';

/** Another container that this one shares a namespace with; undefined when the mode names none. */
export function sharedWith(mode: string | undefined, containers: ContainerSet): Container | undefined {
  const name = /^container:(.+)$/.exec(mode ?? '')?.[1];
  return name === undefined ? undefined : containers.find(name);
}

/** The user namespace that a container of this engine is in; undefined: the machine's. */
export function userNamespaceOf(
  { hostConfig }: Pick<ContainerSpec, 'hostConfig'>,
  { userNamespace }: Pick<EngineParts, 'userNamespace'>,
): UserNamespace | undefined {
  return hostConfig.UsernsMode === 'host' ? undefined : userNamespace;
}

/** What is mounted for a container at its mount point: volumes belong to its users, folders of the machine to the machine's. */
export function sourceFor(users: UserNamespace | undefined, { name, source }: MountPoint): string {
  return name === undefined || users === undefined ? source : users.mappedUnlessMounted(source);
}

/** The container needs a network namespace made for it, with interfaces in it. */
export function needsSandbox({ hostConfig, extras }: ContainerSpec): boolean {
  if (extras && (extras.attachments.length > 0 || extras.mesh)) return true;
  return !/^(host|none|container:.*)$/.test(hostConfig.NetworkMode ?? '');
}

/** CONFLICT with Docker's words when a container to join does not run. */
export function namespacesOf(
  spec: ContainerSpec,
  sandbox: Sandbox | undefined,
  containers: ContainerSet,
  userNamespace?: Pick<UserNamespace, 'path'>,
): Namespaces {
  const { NetworkMode, PidMode, IpcMode, UTSMode, CgroupnsMode } = spec.hostConfig;
  const joined = (mode: string | undefined, kind: string): 'own' | 'host' | { path: string } => {
    const other = sharedWith(mode, containers);
    if (other) return { path: namespacePath(other, kind) };
    return mode === 'host' ? 'host' : 'own';
  };
  return {
    network: sandbox ? { path: sandbox.netnsPath } : joined(NetworkMode, 'net'),
    pid: joined(PidMode, 'pid'),
    ipc: joined(IpcMode, 'ipc'),
    uts: UTSMode === 'host' ? 'host' : 'own',
    cgroup: CgroupnsMode === 'private' ? 'own' : 'host',
    user: userNamespace ? { path: sharedUsers(spec, containers) ?? userNamespace.path } : 'host',
  };
}

/** Who shares any other namespace with a container shares that one's user namespace: it is who owns the other. */
function sharedUsers({ hostConfig }: ContainerSpec, containers: ContainerSet): string | undefined {
  const { NetworkMode, PidMode, IpcMode } = hostConfig;
  for (const mode of [NetworkMode, PidMode, IpcMode]) {
    const other = sharedWith(mode, containers);
    if (other?.spec.hostConfig.UsernsMode === 'host')
      throw new ShoalError(
        'INVALID_ARGUMENT',
        `container ${other.id} is in the user namespace of the host: to share a namespace with it takes --userns=host`,
      );
    if (other?.hasProcess && other.run.init) return namespaceFile(other.run.init.pid, 'user');
  }
  return undefined;
}

function namespacePath(other: Container, kind: string): string {
  const { init } = other.run;
  if (!other.hasProcess || init === undefined) {
    const what = kind === 'net' ? 'network' : kind === 'pid' ? 'PID' : 'IPC';
    throw new ShoalError('CONFLICT', `cannot join ${what} namespace of a non running container: ${other.id}`);
  }
  return namespaceFile(init.pid, kind);
}
