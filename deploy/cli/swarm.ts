import { Command } from 'commander';
import { clientFor } from './context.ts';
import { addBackup, addRestore } from './swarm-backup.ts';
import { addRecover } from './swarm-recover.ts';
import { addStatus } from './swarm-status.ts';

const DEFAULT_LISTEN = '0.0.0.0:2377';

interface Swarm {
  readonly JoinTokens: { readonly Worker: string; readonly Manager: string };
}

interface Info {
  readonly Swarm: {
    readonly NodeAddr: string;
    readonly RemoteManagers: readonly { readonly Addr: string }[] | null;
  };
}

/** `shoal swarm …`: make a cluster, join one, leave it. */
export function swarmCommand(): Command {
  const swarm = new Command('swarm').description('Manage the cluster');
  addInit(swarm);
  addJoin(swarm);
  addToken(swarm);
  addStatus(swarm);
  addRecover(swarm);
  addBackup(swarm);
  addRestore(swarm);
  swarm
    .command('rotate-key')
    .description('Encrypt the Raft state of this manager with a new key, while it runs')
    .action(async (_opts: object, command: Command) => {
      const { NodeID } = await clientFor(command).call<{ NodeID: string }>('POST', '/shoal/rotate-key');
      console.log(`Everything that manager ${NodeID} has on disk is encrypted with a new key.`);
    });
  swarm
    .command('leave')
    .description('Leave the cluster')
    .option('-f, --force', 'even if this is a manager', false)
    .action(async (opts: { force: boolean }, command: Command) => {
      await clientFor(command).call('POST', '/swarm/leave', { query: { force: String(opts.force) } });
      console.log('Node left the swarm.');
    });
  return swarm;
}

function addInit(swarm: Command): void {
  swarm
    .command('init')
    .description('Make a cluster of this node alone')
    .option('--advertise-addr <address>', 'address told to other nodes', '')
    .option('--listen-addr <address>', 'where managers listen', DEFAULT_LISTEN)
    .option('--availability <kind>', 'active, pause or drain', 'active')
    .option('--force-new-cluster', 'go on alone with the cluster this node manages ("swarm recover")', false)
    .action(async (opts: InitOpts, command: Command) => {
      const client = clientFor(command);
      const body = {
        AdvertiseAddr: opts.advertiseAddr,
        ListenAddr: opts.listenAddr,
        Availability: opts.availability,
        ForceNewCluster: opts.forceNewCluster,
        Spec: {},
      };
      const nodeId = await client.call<string>('POST', '/swarm/init', { body });
      console.log(`Swarm initialized: current node (${nodeId}) is now a manager.\n`);
      console.log(await joinHint(command, 'worker'));
    });
}

interface InitOpts {
  readonly advertiseAddr: string;
  readonly listenAddr: string;
  readonly availability: string;
  readonly forceNewCluster: boolean;
}

function addJoin(swarm: Command): void {
  swarm
    .command('join <remote...>')
    .description('Join a cluster as a worker or a manager, whichever the token is for')
    .requiredOption('--token <token>', 'of `shoal swarm join-token`')
    .option('--advertise-addr <address>', 'address told to other nodes', '')
    .option('--listen-addr <address>', 'where managers listen', DEFAULT_LISTEN)
    .option('--availability <kind>', 'active, pause or drain', 'active')
    .action(async (remotes: string[], opts: JoinOpts, command: Command) => {
      const body = {
        RemoteAddrs: remotes,
        JoinToken: opts.token,
        AdvertiseAddr: opts.advertiseAddr,
        ListenAddr: opts.listenAddr,
        Availability: opts.availability,
      };
      await clientFor(command).call('POST', '/swarm/join', { body });
      console.log('This node joined the swarm.');
    });
}

interface JoinOpts {
  readonly token: string;
  readonly advertiseAddr: string;
  readonly listenAddr: string;
  readonly availability: string;
}

function addToken(swarm: Command): void {
  swarm
    .command('join-token <role>')
    .description('Print how a worker or a manager joins')
    .option('-q, --quiet', 'only the token', false)
    .action(async (role: string, opts: { quiet: boolean }, command: Command) => {
      if (role !== 'worker' && role !== 'manager')
        command.error(`unknown role ${role}: worker or manager is expected`);
      console.log(opts.quiet ? await tokenOf(command, role) : await joinHint(command, role));
    });
}

async function tokenOf(command: Command, role: string): Promise<string> {
  const { JoinTokens } = await clientFor(command).call<Swarm>('GET', '/swarm');
  return role === 'manager' ? JoinTokens.Manager : JoinTokens.Worker;
}

async function joinHint(command: Command, role: string): Promise<string> {
  const token = await tokenOf(command, role);
  const { Swarm } = await clientFor(command).call<Info>('GET', '/info');
  const addr = Swarm.RemoteManagers?.[0]?.Addr ?? `${Swarm.NodeAddr}:2377`;
  return `To add a ${role} to this swarm, run the following command:\n\n    shoal swarm join --token ${token} ${addr}\n`;
}
