import { Command } from 'commander';
import { clientFor, forEach, list, mapOf } from './context.ts';
import { printJson, printTable } from './output.ts';

interface ApiNetwork {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
  readonly Scope: string;
}

/** `shoal network …`. */
export function networkCommand(): Command {
  const network = new Command('network').description('Manage networks');
  network
    .command('create <name>')
    .description('Create a network')
    .option('-d, --driver <driver>', 'overlay or bridge', 'bridge')
    .option('--subnet <cidr>', 'addresses of the network', list, [])
    .option('--attachable', 'containers outside services may join', false)
    .option('--internal', 'no way out', false)
    .option('--label <key=value>', 'label', list, [])
    .action(async (name: string, opts: CreateOpts, command: Command) => {
      const body = {
        Name: name,
        Driver: opts.driver,
        Attachable: opts.attachable,
        Internal: opts.internal,
        Labels: mapOf(opts.label),
        IPAM: { Config: opts.subnet.map((Subnet) => ({ Subnet })) },
      };
      console.log((await clientFor(command).call<{ Id: string }>('POST', '/networks/create', { body })).Id);
    });
  network
    .command('ls')
    .description('List networks')
    .action(async (_opts: object, command: Command) => {
      const networks = await clientFor(command).call<ApiNetwork[]>('GET', '/networks');
      networks.sort((a, b) => a.Name.localeCompare(b.Name));
      const rows = networks.map(({ Id, Name, Driver, Scope }) => [Id.slice(0, 12), Name, Driver, Scope]);
      printTable(['NETWORK ID', 'NAME', 'DRIVER', 'SCOPE'], rows);
    });
  network
    .command('inspect <network...>')
    .description('Show networks as JSON')
    .action(async (names: string[], _opts: object, command: Command) => {
      printJson(await Promise.all(names.map((name) => clientFor(command).call('GET', `/networks/${name}`))));
    });
  network
    .command('rm <network...>')
    .description('Remove networks')
    .action(async (names: string[], _opts: object, command: Command) => {
      await forEach(names, (name) => clientFor(command).call('DELETE', `/networks/${name}`));
    });
  return network;
}

interface CreateOpts {
  readonly driver: string;
  readonly subnet: readonly string[];
  readonly attachable: boolean;
  readonly internal: boolean;
  readonly label: readonly string[];
}
