import { Command } from 'commander';
import { SHOAL_VERSION } from '#proto/types/version.ts';
import { explain } from '../cli/context.ts';
import { localCommands } from '../cli/local.ts';
import { machineCommands } from '../cli/machine.ts';
import { networkCommand } from '../cli/network.ts';
import { nodeCommand } from '../cli/node.ts';
import { raftCommand } from '../cli/raft.ts';
import { serviceCommand } from '../cli/service.ts';
import { swarmCommand } from '../cli/swarm.ts';

const program = new Command('shoal')
  .description(
    'Drives a Shoal cluster through its Engine API. Everything here `docker` can do as well, but for up and down.',
  )
  .version(SHOAL_VERSION, '-v, --version')
  .option('-H, --host <url>', 'engine to speak to: unix:///path or tcp://host:port')
  .enablePositionalOptions();

for (const command of [
  ...localCommands(),
  swarmCommand(),
  nodeCommand(),
  serviceCommand(),
  networkCommand(),
  raftCommand(),
  ...machineCommands(),
]) {
  program.addCommand(command);
}

try {
  await program.parseAsync();
} catch (error) {
  console.error(explain(error));
  process.exitCode = 1;
}
