import { Command, InvalidArgumentError } from 'commander';
import { down, find, up } from '../local/cluster.ts';

/** `shoal up` and `shoal down`: a whole cluster on this machine. */
export function localCommands(): Command[] {
  const upCommand = new Command('up')
    .description('Bring up a cluster on this machine, a network namespace for each node')
    .option('--managers <count>', 'nodes that manage', count, 3)
    .option('--workers <count>', 'nodes that only run tasks', count, 2)
    .option('--name <name>', 'of the cluster', 'local')
    .action(async (opts: { managers: number; workers: number; name: string }) => {
      const cluster = await up({ ...opts, progress: (step) => console.log(step) });
      for (const { name, address, socket } of cluster.nodes)
        console.log(`${name}  ${address}  unix://${socket}`);
      console.log(`\nTry it:  DOCKER_HOST=unix://${cluster.nodes[0]?.socket} docker node ls`);
    });
  const downCommand = new Command('down')
    .description('Take a cluster on this machine down, and leave nothing of it')
    .option('--name <name>', 'of the cluster', 'local')
    .action(async ({ name }: { name: string }) => {
      if ((await find(name)) === undefined) console.log(`no local cluster named ${name} is up`);
      await down(name);
    });
  return [upCommand, downCommand];
}

function count(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError('a small whole number is expected.');
  return Number(text);
}
