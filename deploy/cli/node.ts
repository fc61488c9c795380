import { Command } from 'commander';
import { clientFor, forEach, list, mapOf } from './context.ts';
import type { EngineClient } from './engine-client.ts';
import { printJson, printTable } from './output.ts';
import { printTasks } from './tasks.ts';

interface ApiNode {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: {
    readonly Labels?: Record<string, string>;
    readonly Role: string;
    readonly Availability: string;
  };
  readonly Description: { readonly Hostname: string; readonly Engine: { readonly EngineVersion: string } };
  readonly Status: { readonly State: string; readonly Addr: string };
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Reachability: string };
}

/** `shoal node …`. */
export function nodeCommand(): Command {
  const node = new Command('node').description('Manage nodes');
  node
    .command('ls')
    .description('List nodes')
    .option('-q, --quiet', 'only ids', false)
    .action(async (opts: { quiet: boolean }, command: Command) => listNodes(command, opts.quiet));
  node
    .command('inspect <node...>')
    .description('Show nodes as JSON')
    .action(async (names: string[], _opts: object, command: Command) => {
      printJson(await Promise.all(names.map((name) => find(clientFor(command), name))));
    });
  node
    .command('ps [node...]')
    .description('List tasks of nodes, by default of this one')
    .action(async (names: string[], _opts: object, command: Command) => {
      await printTasks(clientFor(command), {
        node: names.length > 0 ? names : [await selfOf(clientFor(command))],
      });
    });
  addChanges(node);
  return node;
}

function addChanges(node: Command): void {
  node
    .command('update <node>')
    .description('Change a node')
    .option('--availability <kind>', 'active, pause or drain')
    .option('--role <role>', 'worker or manager')
    .option('--label-add <key=value>', 'add or change a label', list, [])
    .option('--label-rm <key>', 'remove a label', list, [])
    .action(async (name: string, opts: UpdateOpts, command: Command) => {
      await forEach([name], (each) => update(clientFor(command), each, opts));
    });
  for (const [verb, role] of [
    ['promote', 'manager'],
    ['demote', 'worker'],
  ] as const) {
    node
      .command(`${verb} <node...>`)
      .description(`Make nodes ${role}s`)
      .action(async (names: string[], _opts: object, command: Command) => {
        await forEach(names, (name) => update(clientFor(command), name, { role, labelAdd: [], labelRm: [] }));
      });
  }
  node
    .command('rm <node...>')
    .description('Remove nodes from the cluster')
    .option('-f, --force', 'even if it is not down', false)
    .action(async (names: string[], opts: { force: boolean }, command: Command) => {
      const query = { force: String(opts.force) };
      await forEach(names, (name) => clientFor(command).call('DELETE', `/nodes/${name}`, { query }));
    });
}

interface UpdateOpts {
  readonly availability?: string;
  readonly role?: string;
  readonly labelAdd: readonly string[];
  readonly labelRm: readonly string[];
}

async function update(client: EngineClient, name: string, opts: UpdateOpts): Promise<void> {
  const node = await find(client, name);
  const labels = { ...node.Spec.Labels, ...mapOf(opts.labelAdd) };
  for (const key of opts.labelRm) delete labels[key];
  const body = {
    ...node.Spec,
    Labels: labels,
    ...(opts.availability === undefined ? {} : { Availability: opts.availability }),
    ...(opts.role === undefined ? {} : { Role: opts.role }),
  };
  await client.call('POST', `/nodes/${node.ID}/update`, {
    query: { version: String(node.Version.Index) },
    body,
  });
}

async function find(client: EngineClient, name: string): Promise<ApiNode> {
  return client.call<ApiNode>('GET', `/nodes/${name === 'self' ? await selfOf(client) : name}`);
}

async function selfOf(client: EngineClient): Promise<string> {
  const { Swarm } = await client.call<{ Swarm: { NodeID: string } }>('GET', '/info');
  return Swarm.NodeID;
}

async function listNodes(command: Command, quiet: boolean): Promise<void> {
  const client = clientFor(command);
  const nodes = await client.call<ApiNode[]>('GET', '/nodes');
  const self = await selfOf(client);
  nodes.sort((a, b) => a.Description.Hostname.localeCompare(b.Description.Hostname, 'en', { numeric: true }));
  if (quiet) return console.log(nodes.map(({ ID }) => ID).join('\n'));
  const headings = ['ID', 'HOSTNAME', 'STATUS', 'AVAILABILITY', 'MANAGER STATUS', 'ENGINE VERSION'];
  printTable(
    headings,
    nodes.map((node) => rowOf(node, self)),
  );
}

function rowOf({ ID, Description, Status, Spec, ManagerStatus }: ApiNode, self: string): string[] {
  const manager = ManagerStatus?.Leader ? 'Leader' : capital(ManagerStatus?.Reachability ?? '');
  return [
    ID === self ? `${ID} *` : ID,
    Description.Hostname,
    capital(Status.State),
    capital(Spec.Availability),
    manager,
    Description.Engine.EngineVersion,
  ];
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
