import { codeOf, ShoalError } from '#proto/base/errors.ts';
import type { BundleWriter } from './bundle.ts';
import type { Container } from './container.ts';
import type { ContainerSet } from './container-set.ts';
import type { ContainerConfig, HostConfig } from './container-types.ts';
import type { LinkedHost } from './etc-files.ts';
import { parsePort } from './ports.ts';
import type { ContainerSpec, LinkRecord } from './record.ts';

/*
 * Links between containers on Docker's default bridge, where nobody has a name: `docker run --link db:alias` writes the
 * other's address and environment into the new container. On networks of users a link is but one more name.
 */

/** `db:alias`, `db`, or `/db:/web/alias` as another engine showed it. */
export function parseLink(text: string): { name: string; alias: string } {
  const parts = text.split(':');
  const [name = '', alias = name] = parts;
  if (name === '' || alias === '' || parts.length > 2)
    throw new ShoalError('INVALID_ARGUMENT', `bad format for links: ${text}`);
  return { name: name.replace(/^\//, ''), alias: alias.slice(alias.lastIndexOf('/') + 1) };
}

/** Names of others by alias, as links on a network of a user's say them. */
export function linkNames(links: readonly string[] | null | undefined): Record<string, string> {
  return Object.fromEntries((links ?? []).map(parseLink).map(({ name, alias }) => [alias, name]));
}

/** The links of a container that is made. INVALID_ARGUMENT where one leads to nobody. */
export function plannedLinks(
  { Links, NetworkMode = 'bridge' }: HostConfig,
  containers: Pick<ContainerSet, 'find'>,
): LinkRecord[] {
  if (NetworkMode !== 'bridge') return [];
  return (Links ?? []).map((text) => {
    const { name, alias } = parseLink(text);
    return { containerId: linkable(name, containers).id, alias };
  });
}

function linkable(name: string, containers: Pick<ContainerSet, 'find'>): Container {
  try {
    return containers.find(name);
  } catch (error) {
    if (codeOf(error) !== 'NOT_FOUND') throw error;
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `could not get container for ${name}: No such container: ${name}`,
    );
  }
}

/** Another container as one that links to it sees it. */
export interface Linked {
  readonly alias: string;
  readonly address: string;
  readonly spec: Pick<ContainerSpec, 'name' | 'config'>;
}

/** Those that a container links to and that run now. */
export function linkedNow(
  { links = [] }: Pick<ContainerSpec, 'links'>,
  containers: Pick<ContainerSet, 'get'>,
): Linked[] {
  return links.flatMap(({ containerId, alias }) => {
    const other = containers.get(containerId);
    const address = other && bridgeAddress(other);
    return other && address ? [{ alias, address, spec: other.spec }] : [];
  });
}

/** As `linkedNow`, for a container that starts. INTERNAL, as with Docker, when one of them does not run. */
export function linkedOrThrow(
  spec: Pick<ContainerSpec, 'name' | 'links'>,
  containers: Pick<ContainerSet, 'get'>,
): Linked[] {
  const found = linkedNow(spec, containers);
  const missing = (spec.links ?? []).find((link) => !found.some(({ alias }) => alias === link.alias));
  if (missing === undefined) return found;
  const name = containers.get(missing.containerId)?.name ?? missing.containerId;
  throw new ShoalError(
    'INTERNAL',
    `Cannot link to a non running container: /${name} AS /${spec.name}/${missing.alias}`,
  );
}

function bridgeAddress({ spec, run }: Container): string | undefined {
  const networkId = spec.endpoints['bridge']?.networkId;
  const on = run.sandbox?.attachments.find((attachment) => attachment.networkId === networkId);
  return on?.address.split('/')[0];
}

/** What a linked container is called in /etc/hosts: its alias, its hostname, its own name. */
export function linkedHosts(linked: readonly Linked[]): LinkedHost[] {
  return linked.map(({ alias, address, spec: { name, config } }) => ({
    address,
    names: [...new Set([alias, config.Hostname ?? '', name])].filter(Boolean),
  }));
}

/** Left out because every container has its own. */
const OWN_VARIABLES = ['HOME', 'PATH'];

/** The variables by which a container finds the ports and the environment of those it links to. */
export function linkVariables(name: string, linked: readonly Linked[]): string[] {
  return linked.flatMap((one) => {
    const prefix = one.alias.toUpperCase().replaceAll('-', '_');
    return [
      ...portVariables(prefix, one),
      `${prefix}_NAME=/${name}/${one.alias}`,
      ...environment(one.spec.config).map((entry) => `${prefix}_ENV_${entry}`),
    ];
  });
}

function portVariables(prefix: string, { address, spec }: Linked): string[] {
  const ports = Object.keys(spec.config.ExposedPorts ?? {})
    .map(parsePort)
    .sort(tcpFirst);
  const url = ({ protocol, containerPort }: Port): string => `${protocol}://${address}:${containerPort}`;
  const [first] = ports;
  return [
    ...(first ? [`${prefix}_PORT=${url(first)}`] : []),
    ...ports.flatMap((port) => {
      const own = `${prefix}_PORT_${port.containerPort}_${port.protocol.toUpperCase()}`;
      return [
        `${own}=${url(port)}`,
        `${own}_ADDR=${address}`,
        `${own}_PORT=${port.containerPort}`,
        `${own}_PROTO=${port.protocol}`,
      ];
    }),
  ];
}

type Port = ReturnType<typeof parsePort>;

/** The lowest TCP port is the one that a container is known by. */
function tcpFirst(a: Port, b: Port): number {
  return Number(b.protocol === 'tcp') - Number(a.protocol === 'tcp') || a.containerPort - b.containerPort;
}

function environment({ Env }: Pick<ContainerConfig, 'Env'>): string[] {
  return (Env ?? []).filter((entry) => {
    const [name = '', value] = entry.split('=', 2);
    return value !== undefined && !OWN_VARIABLES.includes(name);
  });
}

/** The names that a container has by links of others: `web/alias`. */
export function namesByLinks(containers: Pick<ContainerSet, 'all'>): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const { spec } of containers.all())
    for (const { containerId, alias } of spec.links ?? [])
      names.set(containerId, [...(names.get(containerId) ?? []), `${spec.name}/${alias}`]);
  return names;
}

/** A container may have another address each time it starts: those that link to it are told. */
export function tellLinked(
  started: Container,
  { containers, bundles }: { containers: ContainerSet; bundles: Pick<BundleWriter, 'writeEtcFiles'> },
): void {
  for (const { spec, run, hasProcess } of containers.all())
    if (hasProcess && spec.links?.some(({ containerId }) => containerId === started.id))
      bundles.writeEtcFiles(spec, run.sandbox);
}

/** `docker rm --link web/alias`. NOT_FOUND when there is no such link. */
export function removeLink(containers: Pick<ContainerSet, 'find'>, path: string): void {
  const [, name = '', alias = ''] = /^\/?(.+)\/([^/]+)$/.exec(path) ?? [];
  if (name === '')
    throw new ShoalError(
      'INVALID_ARGUMENT',
      `Conflict, cannot remove the default link name of the container`,
    );
  const container = containers.find(name);
  const links = container.spec.links ?? [];
  if (!links.some((link) => link.alias === alias)) throw new ShoalError('NOT_FOUND', `No such link: ${path}`);
  container.updateSpec({ links: links.filter((link) => link.alias !== alias) });
}
