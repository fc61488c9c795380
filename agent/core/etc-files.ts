import type { ContainerSpec } from './record.ts';

/*
 * The files that Docker writes for a container: /etc/hosts, /etc/hostname, /etc/resolv.conf. Text in, text out.
 */

export interface NetworkFacts {
  /** The container is in the machine's own network namespace. */
  readonly host: boolean;
  /** Its addresses, without prefix. */
  readonly addresses: readonly string[];
  readonly gateway?: string;
  /** Containers that it links to. */
  readonly links?: readonly LinkedHost[];
  /** Shoal's own resolver for the container, where it has one. */
  readonly nameserver?: string;
}

/** Another container, as /etc/hosts calls it. */
export interface LinkedHost {
  readonly address: string;
  readonly names: readonly string[];
}

const LOCALHOST = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::\tip6-localnet',
  'ff00::\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
];

/** `machineFile`: /etc/hosts of the machine, which containers in its network namespace share. */
export function hostsFile(spec: ContainerSpec, network: NetworkFacts, machineFile: string): string {
  const { Hostname = '', Domainname = '' } = spec.config;
  const [short = '', ...domain] = (Domainname ? `${Hostname}.${Domainname}` : Hostname).split('.');
  const names = domain.length > 0 ? `${[short, ...domain].join('.')} ${short}` : short;
  const extra = (spec.hostConfig.ExtraHosts ?? []).map((entry) => extraHost(entry, network.gateway));
  const base = network.host ? [machineFile.trimEnd()] : LOCALHOST;
  const own = network.addresses.map((address) => `${address}\t${names}`);
  const links = (network.links ?? []).map(({ address, names: of }) => `${address}\t${of.join(' ')}`);
  return `${[...base, ...extra, ...links, ...own].join('\n')}\n`;
}

/** `name:address` or `name=address`; the address may be `host-gateway`. */
function extraHost(entry: string, gateway: string | undefined): string {
  const at = entry.search(/[:=]/);
  const address = entry.slice(at + 1).replace(/^\[|\]$/g, '');
  return `${address === 'host-gateway' ? (gateway ?? '127.0.0.1') : address}\t${entry.slice(0, at)}`;
}

/** Where names are asked for when nobody says: the machine's servers, unless they are out of reach in here. */
const PUBLIC_SERVERS = ['8.8.8.8', '8.8.4.4'];

export function resolvFile(
  { hostConfig }: Pick<ContainerSpec, 'hostConfig'>,
  network: NetworkFacts,
  machineFile: string,
): string {
  const { Dns, DnsSearch, DnsOptions } = hostConfig;
  const machine = parseResolv(machineFile);
  const servers = network.nameserver
    ? [network.nameserver]
    : serversOf(Dns ?? [], machine.nameserver, network.host);
  const search =
    (DnsSearch ?? []).length > 0 ? (DnsSearch ?? []).filter((name) => name !== '.') : machine.search;
  const own = (DnsOptions ?? []).length > 0 ? (DnsOptions ?? []) : machine.options;
  const options =
    network.nameserver && !own.some((option) => option.startsWith('ndots')) ? [...own, 'ndots:0'] : own;
  const lines = [
    ...servers.map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function serversOf(asked: readonly string[], machine: readonly string[], host: boolean): readonly string[] {
  if (asked.length > 0) return asked;
  const reachable = host ? machine : machine.filter((server) => !/^(127\.|::1$)/.test(server));
  return reachable.length > 0 || host ? reachable : PUBLIC_SERVERS;
}

function parseResolv(text: string): Record<'nameserver' | 'search' | 'options', string[]> {
  const words = (key: string): string[] =>
    text
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([first]) => first === key)
      .flatMap(([, ...rest]) => rest);
  return { nameserver: words('nameserver'), search: words('search'), options: words('options') };
}
