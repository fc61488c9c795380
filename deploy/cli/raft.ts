import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { NodeIdentity } from '#agent/session/identity.ts';
import { parseUnlockKey, unlockSecret } from '#manager/ca/unlock-key.ts';
import { machineDisk } from '#manager/consensus/disk.ts';
import { type DumpLine, dumpState } from '#manager/consensus/dump.ts';
import type { Finding } from '#manager/consensus/finding.ts';
import { verifyState } from '#manager/consensus/verify.ts';
import { codeOf, ShoalError } from '#proto/base/errors.ts';
import { isInUse } from '../node/data-root-lock.ts';
import { openingLock } from '../node/manager-lock.ts';
import { jsonOf, textOf, undecodable } from './raft-lines.ts';

const DEFAULT_DATA_ROOT = '/var/lib/shoal';

const RUNNING =
  'A daemon runs on this state: what it writes meanwhile may look torn here. Stop it for an answer that counts.';

interface DumpOpts {
  readonly dataRoot: string;
  readonly state?: string;
  readonly unlockKey?: string;
  readonly json: boolean;
  readonly verify: boolean;
}

/** `shoal raft …`: reads a manager's state from its disk, while its daemon is stopped. The one command that asks no daemon. */
export function raftCommand(): Command {
  const raft = new Command('raft').description("Look into a manager's Raft state on disk");
  raft
    .command('dump')
    .description('Print what the log and the snapshots of a stopped manager say')
    .option('--data-root <dir>', 'of its daemon', DEFAULT_DATA_ROOT)
    .option('--state <dir>', 'the folder with keys.json itself, such as one that was set aside')
    .option('--unlock-key <key>', 'of the cluster (SWMKEY-1-…), where its managers lock themselves')
    .option('--json', 'a JSON object for each line', false)
    .option('--verify', 'only check every byte: say what is whole, torn or damaged', false)
    .addHelpText(
      'after',
      `
It decrypts with the key file beside the state and changes nothing. Keys and join tokens of the cluster
are left out. With --verify the exit code is 1 when something is damaged; what is torn, a restart repairs.`,
    )
    .action((opts: DumpOpts) => {
      if (opts.state === undefined && isInUse(opts.dataRoot)) console.error(RUNNING);
      return run(opts);
    });
  return raft;
}

function stateDirOf({ state, dataRoot }: DumpOpts): string {
  return state ?? join(dataRoot, 'swarm', 'raft');
}

async function run(opts: DumpOpts): Promise<void> {
  const stateDir = stateDirOf(opts);
  if (!existsSync(stateDir)) {
    const message = `${stateDir} is not there: name the folder of a manager's daemon with --data-root, or of a state with --state`;
    throw new ShoalError('NOT_FOUND', message);
  }
  const lock = await lockOf(stateDir, opts.unlockKey);
  if (opts.verify)
    verify(opts, () => dumpState(machineDisk, stateDir, lock), verifyState(machineDisk, stateDir, lock));
  else
    for (const line of dumpState(machineDisk, stateDir, lock))
      console.log(opts.json ? jsonOf(line) : textOf(line));
}

/** What the state is locked with is kept with the node's own key, in the folder above. */
async function lockOf(stateDir: string, unlockKey: string | undefined): Promise<Uint8Array | undefined> {
  if (unlockKey === undefined) return undefined;
  const identity = await NodeIdentity.open(dirname(stateDir));
  await identity.unlock(unlockSecret(parseUnlockKey(unlockKey))).catch((error: unknown) => {
    if (codeOf(error) !== 'UNAUTHENTICATED') throw error;
    const message = `the unlock key does not open ${stateDir}: a manager that was down when the key was rotated has the one from before`;
    throw new ShoalError('UNAUTHENTICATED', message, { cause: error });
  });
  return openingLock(identity, stateDir);
}

function verify(opts: DumpOpts, lines: () => Iterable<DumpLine>, findings: readonly Finding[]): void {
  const damaged = findings.some(({ state }) => state === 'damaged');
  const unknown = damaged ? [] : undecodable(lines());
  for (const finding of [...findings, ...unknown]) {
    console.log(opts.json ? JSON.stringify(finding) : findingText(finding));
  }
  if (damaged || unknown.length > 0) process.exitCode = 1;
}

function findingText({ state, path, detail }: Finding): string {
  return `${state.padEnd(8)}  ${path}: ${detail}`;
}
