import test from 'ava';
import { jsonOf, textOf, undecodable } from '#deploy/cli/raft-lines.ts';
import type { DumpLine } from '#manager/consensus/dump.ts';
import type { Change } from '#manager/store/changes.ts';
import { encodePart, encodeTransaction, joinEntry } from '#manager/store/log-entry.ts';
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

test('lines: a part of a large transaction says which it is, and nothing of what is in it', (t) => {
  const part = { proposer: 5, serial: 6, number: 2, count: 3, data: Buffer.from('a secret') };
  const line = (count: number): DumpLine => ({
    kind: 'entry',
    index: 7,
    term: 2,
    data: encodePart({ ...part, count }),
  });
  t.is(textOf(line(3)), '  7 term 2: part 2 of 3 of transaction 6 of proposer 5: 8 bytes');
  t.is(textOf(line(0)), '  7 term 2: transaction 6 of proposer 5, which is in parts, is given up');
  t.like(JSON.parse(jsonOf(line(3))), { transactions: [], part: { ...part, data: '(left out)' } });
  t.deepEqual(undecodable([line(3)]), []);
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
