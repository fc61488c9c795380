import { Command, InvalidArgumentError } from 'commander';
import { clientFor, forEach, list, mapOf } from './context.ts';
import type { EngineClient } from './engine-client.ts';
import { printJson, printTable } from './output.ts';
import { followProgress } from './progress.ts';
import { printTasks } from './tasks.ts';

export interface ApiService {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: ApiServiceSpec;
  readonly Endpoint?: { readonly Ports?: readonly ApiPort[] };
  readonly ServiceStatus?: { readonly RunningTasks: number; readonly DesiredTasks: number };
  readonly UpdateStatus?: { readonly State: string; readonly Message: string };
}

interface ApiServiceSpec {
  readonly Name: string;
  readonly Labels?: Record<string, string>;
  readonly TaskTemplate: { readonly ContainerSpec: Record<string, unknown> & { readonly Image: string } };
  readonly Mode: { readonly Replicated?: { readonly Replicas: number }; readonly Global?: object };
}

interface ApiPort {
  readonly Protocol: string;
  readonly TargetPort: number;
  readonly PublishedPort: number;
  readonly PublishMode: string;
}

/** `shoal service …`. */
export function serviceCommand(): Command {
  const service = new Command('service').description('Manage services').enablePositionalOptions();
  addCreate(service);
  addReads(service);
  addChanges(service);
  return service;
}

function addCreate(service: Command): void {
  service
    .command('create <image> [command...]')
    .description('Create a service')
    .requiredOption('--name <name>', 'of the service')
    .option('--replicas <count>', 'tasks to run', whole, 1)
    .option('--mode <mode>', 'replicated or global', 'replicated')
    .option('-p, --publish <port>', 'PUBLISHED:TARGET[/PROTOCOL]', list, [])
    .option('--network <name>', 'network to be on', list, [])
    .option('-e, --env <key=value>', 'environment variable', list, [])
    .option('-l, --label <key=value>', 'label of the service', list, [])
    .option('--constraint <expression>', 'where tasks may run', list, [])
    .option('-d, --detach', 'do not wait until it has converged', false)
    .passThroughOptions()
    .action(async (image: string, args: string[], opts: CreateOpts, command: Command) => {
      const client = clientFor(command);
      const body = specOf(image, args, opts);
      const { ID, Warnings } = await client.call<{ ID: string; Warnings: string[] | null }>(
        'POST',
        '/services/create',
        { body },
      );
      for (const warning of Warnings ?? []) console.error(warning);
      console.log(ID);
      if (!opts.detach) await followProgress(client, ID);
    });
}

interface CreateOpts {
  readonly name: string;
  readonly replicas: number;
  readonly mode: string;
  readonly publish: readonly string[];
  readonly network: readonly string[];
  readonly env: readonly string[];
  readonly label: readonly string[];
  readonly constraint: readonly string[];
  readonly detach: boolean;
}

function specOf(image: string, args: readonly string[], opts: CreateOpts): object {
  return {
    Name: opts.name,
    Labels: mapOf(opts.label),
    TaskTemplate: {
      ContainerSpec: { Image: image, Args: args, Env: opts.env },
      Networks: opts.network.map((Target) => ({ Target })),
      Placement: { Constraints: opts.constraint },
    },
    Mode: opts.mode === 'global' ? { Global: {} } : { Replicated: { Replicas: opts.replicas } },
    EndpointSpec: { Ports: opts.publish.map(portOf) },
  };
}

/** `8080:80/udp`. */
function portOf(text: string): object {
  const match = /^(\d+):(\d+)(?:\/(tcp|udp|sctp))?$/.exec(text);
  if (!match) throw new InvalidArgumentError(`invalid port ${text}: PUBLISHED:TARGET[/PROTOCOL] is expected`);
  const [, published, target, protocol] = match;
  return {
    PublishedPort: Number(published),
    TargetPort: Number(target),
    Protocol: protocol ?? 'tcp',
    PublishMode: 'ingress',
  };
}

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a whole number is expected.');
  return Number(text);
}

function addReads(service: Command): void {
  service
    .command('ls')
    .description('List services')
    .action(async (_opts: object, command: Command) => listServices(clientFor(command)));
  service
    .command('ps <service...>')
    .description('List the tasks of services')
    .action(async (names: string[], _opts: object, command: Command) => {
      await printTasks(clientFor(command), { service: names });
    });
  service
    .command('inspect <service...>')
    .description('Show services as JSON')
    .action(async (names: string[], _opts: object, command: Command) => {
      printJson(await Promise.all(names.map((name) => clientFor(command).call('GET', `/services/${name}`))));
    });
}

async function listServices(client: EngineClient): Promise<void> {
  const services = await client.call<ApiService[]>('GET', '/services', { query: { status: 'true' } });
  services.sort((a, b) => a.Spec.Name.localeCompare(b.Spec.Name));
  const rows = services.map(({ ID, Spec, ServiceStatus, Endpoint }) => [
    ID.slice(0, 12),
    Spec.Name,
    Spec.Mode.Global ? 'global' : 'replicated',
    `${ServiceStatus?.RunningTasks ?? 0}/${ServiceStatus?.DesiredTasks ?? 0}`,
    Spec.TaskTemplate.ContainerSpec.Image.split('@')[0] ?? '',
    (Endpoint?.Ports ?? []).map(portText).join(', '),
  ]);
  printTable(['ID', 'NAME', 'MODE', 'REPLICAS', 'IMAGE', 'PORTS'], rows);
}

function portText({ PublishedPort, TargetPort, Protocol }: ApiPort): string {
  return `*:${PublishedPort}->${TargetPort}/${Protocol}`;
}

function addChanges(service: Command): void {
  service
    .command('scale <service=replicas...>')
    .description('Set how many replicas services have')
    .option('-d, --detach', 'do not wait until they have converged', false)
    .action(async (items: string[], opts: { detach: boolean }, command: Command) =>
      scale(clientFor(command), items, opts.detach),
    );
  service
    .command('update <service>')
    .description('Change a service')
    .option('--image <image>', 'image to run')
    .option('--replicas <count>', 'tasks to run', whole)
    .option('--force', 'restart every task even if nothing changed', false)
    .option('-d, --detach', 'do not wait until it has converged', false)
    .action(async (name: string, opts: UpdateOpts, command: Command) => {
      await change(clientFor(command), name, (spec) => updated(spec, opts), opts.detach);
    });
  service
    .command('rollback <service>')
    .description('Go back to the spec before the last change')
    .option('-d, --detach', 'do not wait until it has converged', false)
    .action(async (name: string, opts: { detach: boolean }, command: Command) => {
      await change(clientFor(command), name, (spec) => spec, opts.detach, { rollback: 'previous' });
    });
  service
    .command('rm <service...>')
    .description('Remove services')
    .action(async (names: string[], _opts: object, command: Command) => {
      await forEach(names, (name) => clientFor(command).call('DELETE', `/services/${name}`));
    });
}

interface UpdateOpts {
  readonly image?: string;
  readonly replicas?: number;
  readonly force: boolean;
  readonly detach: boolean;
}

function updated(spec: ApiServiceSpec, opts: UpdateOpts): object {
  const template = spec.TaskTemplate as ApiServiceSpec['TaskTemplate'] & { readonly ForceUpdate?: number };
  return {
    ...spec,
    ...(opts.replicas === undefined ? {} : { Mode: { Replicated: { Replicas: opts.replicas } } }),
    TaskTemplate: {
      ...template,
      ...(opts.force ? { ForceUpdate: (template.ForceUpdate ?? 0) + 1 } : {}),
      ContainerSpec: {
        ...template.ContainerSpec,
        ...(opts.image === undefined ? {} : { Image: opts.image }),
      },
    },
  };
}

async function scale(client: EngineClient, items: readonly string[], detach: boolean): Promise<void> {
  for (const [name, count] of Object.entries(mapOf(items))) {
    await change(
      client,
      name,
      (spec) => {
        if (!spec.Mode.Replicated) throw new Error(`${name}: scale can only be used with replicated mode`);
        return { ...spec, Mode: { Replicated: { Replicas: whole(count) } } };
      },
      detach,
    );
  }
}

async function change(
  client: EngineClient,
  name: string,
  build: (spec: ApiServiceSpec) => object,
  detach: boolean,
  extra: Readonly<Record<string, string>> = {},
): Promise<void> {
  const service = await client.call<ApiService>('GET', `/services/${name}`);
  const query = { version: String(service.Version.Index), ...extra };
  await client.call('POST', `/services/${service.ID}/update`, { query, body: build(service.Spec) });
  console.log(name);
  if (!detach) await followProgress(client, service.ID);
}
