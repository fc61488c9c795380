import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import { applyTransaction, type Outcome } from '#manager/store/apply/transaction.ts';
import type { Change } from '#manager/store/changes.ts';
import { hashOf } from '#manager/store/hash.ts';
import { decodeEntry, encodeTransaction, joinEntry } from '#manager/store/log-entry.ts';
import { StoreMachine } from '#manager/store/machine.ts';
import { TABLES, Tables } from '#manager/store/tables.ts';
import { TablesDraft } from '#manager/store/tables-view.ts';
import { anyChange, anyTransaction, anyTransactions } from '../../../support/arbitrary-changes.ts';

const runs = { numRuns: 100 };

interface Given {
  readonly expects: readonly never[];
  readonly changes: readonly Change[];
}

/** The bytes of an entry that holds these transactions. */
function entryOf(transactions: readonly Given[]): Uint8Array {
  return joinEntry(
    transactions.map((transaction, serial) =>
      encodeTransaction({ ...transaction, atMs: 1000 + serial, proposer: 1, serial }),
    ),
  );
}

/** Tables after each transaction was an entry of its own. */
function tablesOf(transactions: readonly Given[]): Tables {
  const tables = new Tables();
  transactions.forEach((transaction, i) => {
    for (const logged of decodeEntry(entryOf([transaction])).transactions)
      applyTransaction(tables, logged, i + 1);
  });
  return tables;
}

test('log: a transaction comes back from it exactly as it was', (t) => {
  const property = fc.property(anyTransaction, (transaction) => {
    const logged = { ...transaction, atMs: 5, proposer: 6, serial: 7 };
    return isDeepStrictEqual(decodeEntry(joinEntry([encodeTransaction(logged)])).transactions, [logged]);
  });
  t.notThrows(() => fc.assert(property, runs));
});

test('apply: the same log gives the same state on every replica, however many entries come at once', (t) => {
  const property = fc.property(anyTransactions, fc.nat({ max: 3 }), (transactions, together) => {
    const [one, other] = [new StoreMachine(), new StoreMachine()];
    const entries = [];
    for (let i = 0; i < transactions.length; i += together + 1) {
      const data = entryOf(transactions.slice(i, i + together + 1) as Given[]);
      entries.push({ index: entries.length + 1, term: 1, data });
    }
    one.apply(entries);
    for (const entry of entries) other.apply([{ ...entry, data: Uint8Array.from(entry.data) }]);
    return one.hash() === other.hash();
  });
  t.notThrows(() => fc.assert(property, runs));
});

test('draft: does what the log does with the same change', (t) => {
  const property = fc.property(anyTransactions, anyChange, (before, change) => {
    const tables = tablesOf(before as Given[]);
    const version = before.length;
    const drafted = tables.copy();
    let refused: unknown;
    try {
      new TablesDraft(drafted, version, 1000).apply(change);
    } catch (error) {
      refused = error;
    }
    const [logged] = decodeEntry(entryOf([{ expects: [], changes: [change] }])).transactions;
    const outcome = applyTransaction(tables, logged as never, version + 1);
    return hashOf(drafted) === hashOf(tables) && codeOf(outcome) === (refused as { code?: string })?.code;
  });
  t.notThrows(() => fc.assert(property, { numRuns: 300 }));
});

function codeOf(outcome: Outcome): string | undefined {
  return 'refused' in outcome ? outcome.refused.code : undefined;
}

test('apply: a refused transaction leaves the tables as they were, indexes and all', (t) => {
  let refusals = 0;
  const property = fc.property(anyTransactions, anyTransaction, (before, transaction) => {
    const tables = tablesOf(before as Given[]);
    const untouched = tables.copy();
    const outcome = applyTransaction(tables, { ...transaction, atMs: 1 }, before.length + 1);
    if (!('refused' in outcome)) return true;
    refusals++;
    return isDeepStrictEqual(indexesOf(tables), indexesOf(untouched));
  });
  t.notThrows(() => fc.assert(property, { numRuns: 300 }));
  t.true(refusals > 0);
});

/** Everything that can be found, by every way of finding it. */
function indexesOf(tables: Tables): unknown {
  const [services, nodes] = [[...tables.services.all()], [...tables.nodes.all()]];
  return [
    hashOf(tables),
    ['web', 'db', 'cache'].map((name) => [
      tables.services.byName(name)?.id,
      tables.networks.byName(name)?.id,
    ]),
    services.map(({ id }) => tables.tasks.byService(id)),
    services.map(({ id, specVersion }) => tables.tasksOf(id, specVersion)),
    nodes.map(({ id }) => tables.tasks.byNode(id)),
  ];
}

test('tables: indexes always agree with the rows, and references with what is there', (t) => {
  const property = fc.property(anyTransactions, (transactions) => {
    const tables = tablesOf(transactions as Given[]);
    const tasks = [...tables.tasks.all()];
    const live = [...tables.services.all()].filter((service) => !service.pendingDelete);
    for (const { id } of tables.services.all()) {
      const own = tasks.filter((task) => task.serviceId === id);
      own.sort((a, b) => a.slot - b.slot || (a.id < b.id ? -1 : 1));
      t.deepEqual(tables.tasks.byService(id), own);
    }
    for (const { id } of tables.nodes.all())
      t.deepEqual(
        tables.tasks.byNode(id),
        tasks.filter((task) => task.nodeId === id),
      );
    for (const service of live) t.is(tables.services.byName(service.spec.name), service);
    for (const { serviceId, specVersion } of tasks)
      t.truthy(tables.get('revision', `${serviceId}/${specVersion}`), 'a task’s revision is there');
    for (const { serviceId, specVersion } of tables.all('revision')) {
      const service = tables.services.get(serviceId);
      const needed = [service?.specVersion, service?.previousSpecVersion].includes(specVersion);
      t.true(needed || tables.tasksOf(serviceId, specVersion) > 0, 'a revision is needed by somebody');
    }
  });
  fc.assert(property, runs);
});

test('events: carry every row from what it was to what it is', (t) => {
  const property = fc.property(anyTransactions, (transactions) => {
    const machine = new StoreMachine();
    const rows = new Map<string, unknown>();
    machine.subscribe(({ version, events }) => {
      for (const { table, id, row, previous } of events) {
        const key = `${table} ${id}`;
        t.is((rows.get(key) as { version: number } | undefined)?.version, previous?.version);
        if (row === undefined) rows.delete(key);
        else rows.set(key, row);
        if (row !== undefined) t.is(row.version, version);
      }
    });
    transactions.forEach((transaction, i) => {
      machine.apply([{ index: i + 1, term: 1, data: entryOf([transaction as Given]) }]);
    });
    const tables = tablesOf(transactions as Given[]);
    const found = TABLES.flatMap((table) => [...tables.all(table)].map(({ version }) => version));
    t.deepEqual([...rows.values()].map((row) => (row as { version: number }).version).sort(), found.sort());
  });
  fc.assert(property, runs);
});
