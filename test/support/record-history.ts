/**
 * Records a history of the store in test/data/histories, to be readable for ever: `node test/support/record-history.ts
 * "why it is kept"`. Record another one when the log learns something new; never change one that is there.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { CommittedEntry } from '#manager/consensus/consensus.ts';
import type { Change } from '#manager/store/changes.ts';
import { decodeEntry, decodeParts, type LoggedTransaction } from '#manager/store/log-entry.ts';
import { NO_PARTS, takeEntry } from '#manager/store/parts.ts';
import { assert } from '#proto/base/assert.ts';
import type { ServiceId } from '#proto/types/ids.ts';
import { anyTransactions } from './arbitrary-changes.ts';
import { openTestStore, type TestStore } from './local-log.ts';
import { settle } from './virtual-clock.ts';

const DIRECTORY = join(import.meta.dirname, '..', 'data', 'histories');
const SAMPLES = 12;
/** Many of these transactions go in parts. */
const SMALL_ENTRIES = { entryBytesMax: 1000, partBytes: 400 };

const about = process.argv[2];
if (about === undefined)
  throw new Error('say why this history is kept: node test/support/record-history.ts "…"');
await record(about);

async function record(reason: string): Promise<void> {
  const numbers = readdirSync(DIRECTORY).map((name) => Number.parseInt(name, 10) || 0);
  const number = Math.max(0, ...numbers) + 1;
  const opened = openTestStore({ proposer: SMALL_ENTRIES });
  opened.log.append();
  await write(opened, number);
  await beginLarge(opened);
  const { log, machine } = opened;
  const path = join(DIRECTORY, String(number).padStart(4, '0'));
  const lines = log.entries.map(({ data }) => Buffer.from(data).toString('base64'));
  const chunks = await Array.fromAsync(machine.snapshot());
  writeFileSync(`${path}.entries`, `${lines.join('\n')}\n`);
  writeFileSync(`${path}.snapshot`, `${Buffer.concat(chunks).toString('base64')}\n`);
  const promise = { about: reason, version: machine.version, kinds: kindsOf(opened), hash: machine.hash() };
  writeFileSync(`${path}.json`, `${JSON.stringify(promise, null, 2)}\n`);
}

/** Random transactions, two to an entry, most of them accepted. */
async function write({ store }: TestStore, seed: number): Promise<void> {
  for (const transactions of fc.sample(anyTransactions, { seed, numRuns: SAMPLES })) {
    for (let at = 0; at < transactions.length; at += 2) {
      const pair = transactions.slice(at, at + 2).map(({ expects, changes }) => ({
        expects,
        changes: changes as readonly Change[],
      }));
      await Promise.allSettled(pair.map((transaction) => store.update(transaction)));
    }
  }
}

/** The history ends in the middle of a transaction. */
async function beginLarge({ store, log }: TestStore): Promise<void> {
  const env = ['A'.repeat(4 * SMALL_ENTRIES.entryBytesMax)];
  const spec = { name: 'large', task: { container: { image: 'a', env } }, mode: { kind: 'global' } } as const;
  log.hold();
  const endless = store.update({
    changes: [{ kind: 'putService', service: { id: 'large' as ServiceId, spec } }],
  });
  endless.catch(() => undefined);
  await settle();
  await log.release();
  log.hold();
  await settle();
}

/** Every kind of change in the log: a history should know all there are. */
function kindsOf({ log }: TestStore): string[] {
  const kinds = transactionsIn(log.entries).flatMap(({ changes }) => changes.map(({ kind }) => kind));
  assert(kinds.length > 0, 'the history has changes');
  return [...new Set(kinds)].sort();
}

function transactionsIn(entries: readonly CommittedEntry[]): LoggedTransaction[] {
  let kept = NO_PARTS;
  return entries.flatMap(({ term, data }) => {
    const { transactions, part } = data.length === 0 ? { transactions: [] } : decodeEntry(data);
    const taken = takeEntry(kept, term, part);
    kept = taken.kept;
    return taken.whole === undefined ? transactions : decodeParts(taken.whole);
  });
}
