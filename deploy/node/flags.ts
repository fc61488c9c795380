import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { SHOAL_VERSION } from '#proto/types/version.ts';

/** How a daemon is to run. Paths are absolute. */
export interface DaemonOpts {
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly pidFile: string;
  /** unix:///path or tcp://host:port; at least one. */
  readonly hosts: readonly string[];
  readonly registryMirrors: readonly string[];
  /** host[:port] or CIDR. */
  readonly insecureRegistries: readonly string[];
  readonly logLevel: LogLevel;
  /** `key=value` labels of this engine. */
  readonly labels: readonly string[];
  readonly addressPools: readonly AddressPool[];
  /** host:port where metrics and the live page are served without TLS; absent: only on the API's own socket. */
  readonly metricsAddr?: string;
  readonly hostname: string;
  readonly executor: 'container' | 'mock';
  readonly bridge?: { readonly name?: string; readonly cidr?: string };
  readonly mtu?: number;
  readonly dns: readonly string[];
  readonly logDriver: string;
  readonly logOpts: Readonly<Record<string, string>>;
  /** cgroup under which everything of this daemon is. */
  readonly cgroupParent?: string;
  readonly genericResources: readonly string[];
  readonly swarmDefaultAdvertiseAddr?: string;
  readonly tls?: {
    readonly caFile?: string;
    readonly certFile: string;
    readonly keyFile: string;
    readonly verify: boolean;
  };
  /** `default` or `user[:group]`: containers have the subordinate ids of that user. */
  readonly usernsRemap?: string;
  /** Remove every container, interface and file of this daemon, and end. */
  readonly removeEverything: boolean;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** A range that networks of this machine are cut from. */
export interface AddressPool {
  readonly base: string;
  readonly size: number;
}

const DEFAULTS = {
  dataRoot: '/var/lib/shoal',
  execRoot: '/run/shoal',
  pidFile: '/run/shoal.pid',
  host: 'unix:///run/shoal/docker.sock',
  configFile: '/etc/shoal/daemon.json',
} as const;

/**
 * Reads argv and the configuration file (`--config-file`, dockerd's daemon.json). A setting in both is refused, as in
 * Docker. Prints help or the version, or what is wrong, and ends the process there.
 */
export function readFlags(argv: readonly string[]): DaemonOpts {
  const command = flagCommand();
  command.parse(argv as string[], { from: 'user' });
  const flags = command.opts<Flags>();
  const file = readConfigFile(flags.configFile, command.getOptionValueSource('configFile') !== 'default');
  for (const key of Object.keys(file)) {
    if (command.getOptionValueSource(camel(key)) !== 'cli') continue;
    command.error(`the setting ${key} is given both as a flag and in ${flags.configFile}: give it once`);
  }
  return optsOf({ ...flags, ...fromFile(file, command, flags.configFile) });
}

interface Flags {
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly pidfile: string;
  readonly host: string[];
  readonly registryMirror: string[];
  readonly insecureRegistry: string[];
  readonly logLevel: LogLevel;
  readonly debug: boolean;
  readonly label: string[];
  readonly defaultAddressPool: AddressPool[];
  readonly configFile: string;
  readonly metricsAddr?: string;
  readonly hostname: string;
  readonly executor: 'container' | 'mock';
  readonly bridge?: string;
  readonly bip?: string;
  readonly mtu?: number;
  readonly dns: string[];
  readonly logDriver: string;
  readonly logOpt: string[];
  readonly cgroupParent?: string;
  readonly nodeGenericResource: string[];
  readonly swarmDefaultAdvertiseAddr?: string;
  readonly tls: boolean;
  readonly tlsverify: boolean;
  readonly tlscacert?: string;
  readonly tlscert?: string;
  readonly tlskey?: string;
  readonly usernsRemap?: string;
  readonly removeEverything: boolean;
}

function flagCommand(): Command {
  const list = (value: string, before: string[]): string[] => [...before, value];
  return new Command('shoald')
    .description('The daemon of a Shoal node. Flags are those of dockerd wherever they mean the same.')
    .version(SHOAL_VERSION, '-v, --version')
    .option('--data-root <dir>', 'images, containers, state', DEFAULTS.dataRoot)
    .option('--exec-root <dir>', 'run-time state; gone after a reboot', DEFAULTS.execRoot)
    .option('-p, --pidfile <file>', 'where the process id is written', DEFAULTS.pidFile)
    .option('-H, --host <url>', `where to listen (default: ${DEFAULTS.host})`, list, [])
    .option('--registry-mirror <url>', 'preferred registry mirror', list, [])
    .option('--insecure-registry <host>', 'registry without TLS; 127.0.0.0/8 always is', list, [])
    .addOption(logLevelOption())
    .option('-D, --debug', 'the same as --log-level debug', false)
    .option('--label <key=value>', 'label of this engine', list, [])
    .option('--default-address-pool <pool>', 'base=CIDR,size=BITS for networks of this machine', poolList, [])
    .option('--config-file <file>', 'JSON file with the same settings', DEFAULTS.configFile)
    .option('--metrics-addr <host:port>', 'serve metrics and the live page there, without TLS')
    .option('--hostname <name>', 'name of this node in a cluster', hostname())
    .addOption(
      new Option('--executor <kind>', 'what runs tasks').choices(['container', 'mock']).default('container'),
    )
    .option('-b, --bridge <name>', 'name of the default bridge')
    .option('--bip <cidr>', 'address of the default bridge')
    .option('--mtu <bytes>', 'MTU of the default bridge', wholeNumber)
    .option('--dns <address>', 'nameserver for containers', list, [])
    .option('--log-driver <name>', 'default log driver of containers', 'json-file')
    .option('--log-opt <key=value>', 'default log options of containers', list, [])
    .option('--cgroup-parent <path>', 'cgroup under which containers are')
    .option('--node-generic-resource <kind=value>', 'resource that services can reserve', list, [])
    .option('--swarm-default-advertise-addr <address>', 'address or interface told to other nodes')
    .option('--tls', 'TLS on tcp:// addresses', false)
    .option('--tlsverify', 'TLS, and clients must show a certificate', false)
    .option('--tlscacert <file>', 'certificates that clients must be signed by')
    .option('--tlscert <file>', 'certificate of this engine')
    .option('--tlskey <file>', 'key of this engine')
    .option('--userns-remap <user>', 'run containers as other users: default, or user[:group]')
    .option(
      '--remove-everything',
      'remove every container, interface and file of this daemon, and end',
      false,
    );
}

function logLevelOption(): Option {
  return new Option('-l, --log-level <level>', 'least level that is logged')
    .choices(['debug', 'info', 'warn', 'error', 'fatal'])
    .default('info');
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a whole number is expected.');
  return Number(text);
}

function poolList(text: string, before: AddressPool[]): AddressPool[] {
  return [...before, poolOf(text)];
}

/** `base=10.10.0.0/16,size=24`. */
function poolOf(text: string): AddressPool {
  const parts = new Map(text.split(',').map((part) => part.split('=') as [string, string]));
  const base = parts.get('base');
  const size = Number(parts.get('size'));
  if (base === undefined || !Number.isInteger(size)) {
    throw new InvalidArgumentError('base=CIDR,size=BITS is expected.');
  }
  return { base, size };
}

/** The file's settings; {} when it is missing and nobody asked for it by name. */
function readConfigFile(path: string, asked: boolean): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !asked) return {};
    throw new Error(`unable to configure the daemon with file ${path}: ${(error as Error).message}`);
  }
}

/** Keys of daemon.json that are spelled otherwise than their flag. */
const FILE_KEYS: Readonly<Record<string, keyof Flags>> = {
  hosts: 'host',
  labels: 'label',
  'registry-mirrors': 'registryMirror',
  'insecure-registries': 'insecureRegistry',
  'log-opts': 'logOpt',
  'default-address-pools': 'defaultAddressPool',
  'node-generic-resources': 'nodeGenericResource',
};

function fromFile(file: Readonly<Record<string, unknown>>, command: Command, path: string): Partial<Flags> {
  const known = new Set(command.options.map((option) => option.attributeName()));
  const settings = Object.entries(file).map(([key, value]) => {
    const name = FILE_KEYS[key] ?? camel(key);
    if (!known.has(name)) command.error(`${path}: unknown setting ${JSON.stringify(key)}`);
    return [name, key === 'log-opts' ? pairsOf(value as object) : value];
  });
  return Object.fromEntries(settings) as Partial<Flags>;
}

function pairsOf(value: object): string[] {
  return Object.entries(value).map(([key, item]) => `${key}=${item}`);
}

function camel(key: string): string {
  return key.replace(/-(\w)/g, (_all, letter: string) => letter.toUpperCase());
}

function optsOf(flags: Flags): DaemonOpts {
  return {
    dataRoot: flags.dataRoot,
    execRoot: flags.execRoot,
    pidFile: flags.pidfile,
    hosts: flags.host.length > 0 ? flags.host : [DEFAULTS.host],
    registryMirrors: flags.registryMirror,
    insecureRegistries: ['127.0.0.0/8', ...flags.insecureRegistry],
    logLevel: flags.debug ? 'debug' : flags.logLevel,
    labels: flags.label,
    addressPools: flags.defaultAddressPool,
    hostname: flags.hostname,
    executor: flags.executor,
    dns: flags.dns,
    logDriver: flags.logDriver,
    logOpts: Object.fromEntries(flags.logOpt.map((option) => option.split('=', 2) as [string, string])),
    genericResources: flags.nodeGenericResource,
    removeEverything: flags.removeEverything,
    ...(flags.metricsAddr === undefined ? {} : { metricsAddr: flags.metricsAddr }),
    ...(flags.mtu === undefined ? {} : { mtu: flags.mtu }),
    ...(flags.cgroupParent === undefined ? {} : { cgroupParent: flags.cgroupParent }),
    ...(flags.swarmDefaultAdvertiseAddr === undefined
      ? {}
      : { swarmDefaultAdvertiseAddr: flags.swarmDefaultAdvertiseAddr }),
    ...(flags.usernsRemap ? { usernsRemap: flags.usernsRemap } : {}),
    ...bridgeOf(flags),
    ...tlsOf(flags),
  };
}

function bridgeOf({ bridge, bip }: Flags): Pick<DaemonOpts, 'bridge'> {
  if (bridge === undefined && bip === undefined) return {};
  return {
    bridge: {
      ...(bridge === undefined ? {} : { name: bridge }),
      ...(bip === undefined ? {} : { cidr: bip }),
    },
  };
}

function tlsOf(flags: Flags): Pick<DaemonOpts, 'tls'> {
  if (!flags.tls && !flags.tlsverify) return {};
  if (flags.tlscert === undefined || flags.tlskey === undefined) {
    throw new Error('TLS needs --tlscert and --tlskey');
  }
  const ca = flags.tlscacert === undefined ? {} : { caFile: flags.tlscacert };
  return { tls: { ...ca, certFile: flags.tlscert, keyFile: flags.tlskey, verify: flags.tlsverify } };
}
