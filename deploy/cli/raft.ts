import { join } from 'node:path';
import { Command } from 'commander';
import { machineDisk } from '#manager/consensus/disk.ts';
import { dumpState } from '#manager/consensus/dump.ts';
import type { Finding } from '#manager/consensus/finding.ts';
import { verifyState } from '#manager/consensus/verify.ts';
import { isInUse } from '../node/data-root-lock.ts';
import { jsonOf, textOf, undecodable } from './raft-lines.ts';

const DEFAULT_DATA_ROOT = '/var/lib/shoal';

const RUNNING =
  'A daemon runs on this state: what it writes meanwhile may look torn here. Stop it for an answer that counts.';

interface DumpOpts {
  readonly dataRoot: string;
  readonly state?: string;
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
      return opts.verify ? verify(opts) : dump(opts);
    });
  return raft;
}

function stateDirOf({ state, dataRoot }: DumpOpts): string {
  return state ?? join(dataRoot, 'swarm', 'raft');
}

function dump(opts: DumpOpts): void {
  const print = opts.json ? jsonOf : textOf;
  for (const line of dumpState(machineDisk, stateDirOf(opts))) console.log(print(line));
}

function verify(opts: DumpOpts): void {
  const findings = verifyState(machineDisk, stateDirOf(opts));
  const damaged = findings.some(({ state }) => state === 'damaged');
  const unknown = damaged ? [] : undecodable(dumpState(machineDisk, stateDirOf(opts)));
  for (const finding of [...findings, ...unknown]) {
    console.log(opts.json ? JSON.stringify(finding) : findingText(finding));
  }
  if (damaged || unknown.length > 0) process.exitCode = 1;
}

function findingText({ state, path, detail }: Finding): string {
  return `${state.padEnd(8)}  ${path}: ${detail}`;
}
