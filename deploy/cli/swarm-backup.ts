import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { BACKUP_TYPE, type BackupHeader, readBackup } from '#manager/api/backup.ts';
import { systemRandom } from '#proto/base/random.ts';
import { readBackupFile, writeBackupFile } from './backup-file.ts';
import { clientFor } from './context.ts';
import { humanSize } from './output.ts';

interface BackupOpts {
  readonly passphraseFile?: string;
  readonly stale: boolean;
}

/** `shoal swarm backup`: everything the cluster knows, into a file, while it runs. */
export function addBackup(swarm: Command): void {
  swarm
    .command('backup <file>')
    .description('Write everything that the managers know into a file, while they run')
    .option(
      '--passphrase-file <file>',
      'encrypt with what this file says; without, anybody who reads it owns the cluster',
    )
    .option('--stale', 'what this manager knows, where there is no quorum', false)
    .addHelpText(
      'after',
      `
The file holds services, networks, nodes, join tokens and the key of the cluster's root certificate, as of one
moment. It does not hold images and volumes. "shoal swarm restore" takes the cluster up again from it.`,
    )
    .action(backup);
}

async function backup(file: string, opts: BackupOpts, command: Command): Promise<void> {
  const query = { stale: String(opts.stale) };
  const path = resolve(file);
  const passphrase = passphraseIn(opts.passphraseFile);
  const response = await clientFor(command).open('GET', '/shoal/backup', { query });
  const bytes = await writeBackupFile(path, response, { passphrase, random: systemRandom });
  const header = await checkedHeader(path, passphrase);
  console.log(`${path}: ${humanSize(bytes)}, ${textOf(header)}.`);
  if (passphrase === undefined) {
    console.log(
      'It is not encrypted, and whoever reads it can become a manager of this cluster: keep it like a key.',
    );
  }
}

interface RestoreOpts {
  readonly passphraseFile?: string;
  readonly advertiseAddr: string;
  readonly listenAddr: string;
  readonly availability: string;
  readonly dryRun: boolean;
}

/** `shoal swarm restore`: a cluster from a backup, on a node that is in none. */
export function addRestore(swarm: Command): void {
  swarm
    .command('restore <file>')
    .description('Take a cluster up from a backup, with this node as its only manager')
    .option('--passphrase-file <file>', 'what it was encrypted with')
    .option('--advertise-addr <address>', 'address told to other nodes', '')
    .option('--listen-addr <address>', 'where managers listen', '0.0.0.0:2377')
    .option('--availability <kind>', 'active, pause or drain', 'active')
    .option('--dry-run', 'only check the file, and say what is in it', false)
    .addHelpText(
      'after',
      `
Services, networks, join tokens and certificates are those of the backup; its managers come back as workers.
A node of the old cluster finds the new manager by itself where that has the address of an old one.
Run it only when the old cluster is gone: two that go on from one past have the same nodes and tokens.`,
    )
    .action(restore);
}

async function restore(file: string, opts: RestoreOpts, command: Command): Promise<void> {
  const path = resolve(file);
  const passphrase = passphraseIn(opts.passphraseFile);
  const header = await checkedHeader(path, passphrase);
  console.log(`${path}: ${textOf(header)}.`);
  if (opts.dryRun) return;
  const { advertiseAddr, listenAddr, availability } = opts;
  const { NodeID } = await clientFor(command).call<{ NodeID: string }>('POST', '/shoal/restore', {
    query: {
      ...(advertiseAddr !== '' && { AdvertiseAddr: advertiseAddr }),
      ListenAddr: listenAddr,
      Availability: availability,
    },
    content: { type: BACKUP_TYPE, data: readBackupFile(path, passphrase) },
  });
  console.log(`\nThe cluster is up again: node ${NodeID} is its only manager.`);
  console.log('Nodes that do not find it: "shoal swarm leave --force" there, then "shoal swarm join".');
}

/** Reads all of a file, so that damage shows before anything is made of it. */
async function checkedHeader(path: string, passphrase: string | undefined): Promise<BackupHeader> {
  const { header, chunks } = await readBackup(readBackupFile(path, passphrase));
  for await (const _chunk of chunks);
  return header;
}

function textOf({ ClusterID, CreatedAt, Index, Version, Counts }: BackupHeader): string {
  const { Nodes, Services, Networks, Tasks } = Counts;
  const counts = `${Nodes} nodes, ${Services} services, ${Networks} networks, ${Tasks} tasks`;
  return `cluster ${ClusterID} at ${CreatedAt} (entry ${Index}, Shoal ${Version}): ${counts}`;
}

function passphraseIn(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  const passphrase = readFileSync(file, 'utf8').trim();
  if (passphrase === '') throw new Error(`${file} holds no passphrase`);
  return passphrase;
}
