import test from 'ava';
import { BACKUP_TYPE, type BackupParts, backup, readBackup } from '#manager/api/backup.ts';
import { LeadWatch } from '#manager/consensus/lead-watch.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { ApiRequest } from '#proto/http/types.ts';
import { service } from '#test/support/cluster.ts';
import { ApiLab, SELF } from './lab.ts';

const NOW_MS = 1_800_000_000_000;

function partsOf({ opened }: ApiLab): BackupParts {
  const { store, log, machine, clock } = opened;
  const leadWatch = new LeadWatch({ consensus: log, clock });
  return { nodeId: SELF, store, consensus: log, leadWatch, snapshot: () => machine.snapshot() };
}

function request(query = ''): ApiRequest {
  return { query: new URLSearchParams(query), signal: new AbortController().signal } as ApiRequest;
}

async function backupOf(parts: BackupParts, query = ''): Promise<Buffer> {
  const reply = await backup(parts, request(query), NOW_MS);
  if (reply.kind !== 'stream') throw new Error('a stream is expected');
  const chunks: Uint8Array[] = [];
  for await (const chunk of reply.body) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('backup: gives back the same state, however its bytes are cut', async (t) => {
  await using lab = await ApiLab.open();
  await lab.write(service('web'), service('db'));
  const bytes = await backupOf(partsOf(lab));
  for (const size of [1, 7, 4096, bytes.length]) {
    const { header, chunks } = await readBackup(inPieces(bytes, size));
    t.is(header.ClusterID, lab.view.cluster?.id as string as typeof header.ClusterID);
    t.is(header.CreatedAt, new Date(NOW_MS).toISOString());
    t.is(header.Index, lab.view.version);
    t.is(header.Counts.Services, 2);
    const machine = new StoreMachine();
    await machine.restore(chunks, header.Index);
    t.is(machine.hash(), lab.opened.machine.hash());
  }
});

test('backup: what is written while it is taken is no part of it', async (t) => {
  await using lab = await ApiLab.open();
  const reply = await backup(partsOf(lab), request(), NOW_MS);
  if (reply.kind !== 'stream') return t.fail();
  const bytes = reply.body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const first = await bytes.next();
  const { version } = lab.view;
  await lab.write(service('late'));
  const rest: Uint8Array[] = [first.value as Uint8Array];
  for (let next = await bytes.next(); !next.done; next = await bytes.next()) rest.push(next.value);
  const { header, chunks } = await readBackup(inPieces(Buffer.concat(rest), 4096));
  const machine = new StoreMachine();
  await machine.restore(chunks, header.Index);
  t.is(header.Index, version);
  t.is(machine.view().services.byName('late'), undefined);
});

test('backup: one that was cut off is not taken for a whole one', async (t) => {
  await using lab = await ApiLab.open();
  const bytes = await backupOf(partsOf(lab));
  const { header, chunks } = await readBackup(inPieces(bytes.subarray(0, -10), 4096));
  await t.throwsAsync(new StoreMachine().restore(chunks, header.Index));
  await t.throwsAsync(readBackup(inPieces(Buffer.from('something else'), 4)), {
    message: /no backup that can be restored: it does not start as one/,
  });
  const newer = Buffer.from(`${JSON.stringify({ ...header, Format: 9 })}\n`);
  await t.throwsAsync(readBackup(inPieces(newer, 50)), {
    message: /format 9 of Shoal .*, newer than this one's 1/,
  });
});

test('backup: without a leader only a stale one is given', async (t) => {
  await using lab = await ApiLab.open();
  lab.opened.log.loseLeadership();
  const parts = partsOf(lab);
  const refusing = {
    ...parts,
    store: {
      view: () => parts.store.view(),
      readBarrier: () => Promise.reject(new ShoalError('UNAVAILABLE', 'nobody leads')),
    },
  };
  await t.throwsAsync(backup(refusing, request(), NOW_MS), { message: /The swarm does not have a leader/ });
  const reply = await backup(refusing, request('stale=1'), NOW_MS);
  t.is(reply.kind === 'stream' && reply.contentType, BACKUP_TYPE);
});
