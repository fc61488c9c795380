import { ShoalError } from '#proto/base/errors.ts';
import type { Sandbox } from '../net/node-network.ts';
import type { Container } from './container.ts';
import type { ContainerSet } from './container-set.ts';
import { namespaceFile } from './linux/process.ts';
import type { Namespaces } from './oci/config.ts';
import type { ContainerSpec } from './record.ts';

/** Another container that this one shares a namespace with; undefined when the mode names none. */
export function sharedWith(mode: string | undefined, containers: ContainerSet): Container | undefined {
  const name = /^container:(.+)$/.exec(mode ?? '')?.[1];
  return name === undefined ? undefined : containers.find(name);
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
  };
}

function namespacePath(other: Container, kind: string): string {
  const { init } = other.run;
  if (!other.hasProcess || init === undefined) {
    const what = kind === 'net' ? 'network' : kind === 'pid' ? 'PID' : 'IPC';
    throw new ShoalError('CONFLICT', `cannot join ${what} namespace of a non running container: ${other.id}`);
  }
  return namespaceFile(init.pid, kind);
}
