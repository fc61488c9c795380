import type { Command } from 'commander';
import { confirmed } from './confirm.ts';
import { clientFor } from './context.ts';

interface RecoveryPlan {
  readonly Refusals: readonly string[];
  readonly Steps: readonly string[];
}

interface RecoverOpts {
  readonly force: boolean;
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/** `shoal swarm recover`: the manager that is left goes on alone. */
export function addRecover(swarm: Command): void {
  swarm
    .command('recover')
    .description('Go on with the cluster on this manager alone, when the others are lost for good')
    .option('-f, --force', 'although other managers answer, or there is a quorum', false)
    .option('--dry-run', 'only say what would be done', false)
    .option('-y, --yes', 'do not ask', false)
    .addHelpText(
      'after',
      `
Run it on the manager that is left; of several, on the one that knows most ("shoal swarm status").
The same as "docker swarm init --force-new-cluster", with a look at the other managers first.
Afterwards, let new managers join or promote workers until there are three.`,
    )
    .action(recover);
}

async function recover(opts: RecoverOpts, command: Command): Promise<void> {
  const client = clientFor(command);
  const plan = await client.call<RecoveryPlan>('POST', '/shoal/recover', { body: { DryRun: true } });
  for (const refusal of plan.Refusals) console.log(`! ${refusal}`);
  for (const step of plan.Steps) console.log(`- ${step}`);
  if (opts.dryRun) return;
  if (plan.Refusals.length > 0 && !opts.force) {
    throw new Error('not recovered: see above. --force does it all the same.');
  }
  if (!(await confirmed('Recover?', opts.yes))) throw new Error('not recovered');
  const { NodeID } = await client.call<{ NodeID: string }>('POST', '/shoal/recover', {
    body: { Force: opts.force },
  });
  console.log(`\nThe cluster goes on: node ${NodeID} is its only manager.`);
  console.log('Add managers: "shoal swarm join-token manager" on this node, or "shoal node promote".');
}
