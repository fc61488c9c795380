import test from 'ava';
import { jsonOf, textOf, undecodable } from '#deploy/cli/raft-lines.ts';
import type { DumpLine } from '#manager/consensus/dump.ts';
import type { Change } from '#manager/store/changes.ts';
import { encodeTransaction, joinEntry } from '#manager/store/log-entry.ts';
import { clusterRow, testCa } from '#test/support/certificates.ts';
import { service } from '#test/support/cluster.ts';

function entryOf(...changes: Change[]): DumpLine {
  const data = joinEntry([encodeTransaction({ proposer: 1, serial: 1, atMs: 1, expects: [], changes })]);
  return { kind: 'entry', index: 7, term: 2, data };
}

test('lines: an entry says what it changes', (t) => {
  t.regex(textOf(entryOf(service('web'))), /^ {2}7 term 2: putService .*"name":"web"/);
  const parsed = JSON.parse(jsonOf(entryOf(service('web'))));
  t.like(parsed, { kind: 'entry', index: 7, transactions: [{ changes: [{ kind: 'putService' }] }] });
});

test('lines: keys and join secrets of the cluster are left out', async (t) => {
  const cluster = clusterRow(await testCa());
  const line = entryOf({ kind: 'putCluster', cluster });
  for (const text of [textOf(line), jsonOf(line)]) {
    t.false(text.includes(cluster.joinSecrets.manager));
    t.false(text.includes('PRIVATE KEY'));
    t.true(text.includes(cluster.id));
  }
});

test('lines: a first entry of a term has no data, and bytes that are no entry are said to be none', (t) => {
  t.regex(textOf({ kind: 'entry', index: 1, term: 3, data: new Uint8Array() }), /a leader began its term/);
  const broken: DumpLine = { kind: 'entry', index: 9, term: 3, data: Buffer.from('no entry') };
  t.regex(textOf(broken), /8 bytes that cannot be read/);
  t.deepEqual(
    undecodable([entryOf(service('web')), broken]).map(({ state, detail }) => [state, detail.slice(0, 8)]),
    [['damaged', 'entry 9:']],
  );
});
