import test from 'ava';
import { LOCAL_APPEND, MemoryStorage, type Message, MessageType } from 'raft-ts';
import { DiskQueue } from '#manager/consensus/disk-queue.ts';
import type { WalBatch } from '#manager/consensus/wal.ts';
import { nullLog } from '#proto/base/log.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { withCode } from './support/sim-disk.ts';

/** Writes as they were made, and what became of them; the first so many find no room. */
function setup(fullWrites: number) {
  const clock = new VirtualClock();
  const [batches, installed, answered, failures]: [WalBatch[], number[], Message[], unknown[]] = [
    [],
    [],
    [],
    [],
  ];
  let left = fullWrites;
  const queue = new DiskQueue({
    wal: {
      append(batch) {
        left -= 1;
        if (left >= 0) throw withCode('ENOSPC', 'no space left');
        batches.push(batch);
      },
    },
    storage: new MemoryStorage(),
    install: (snapshot) => installed.push(snapshot.meta.index),
    soon: (work) => void clock.timer(1, work),
    clock,
    log: nullLog,
    written: (responses) => answered.push(...responses),
    fullChanged: () => undefined,
    failed: (error) => failures.push(error),
  });
  return { clock, queue, batches, installed, answered, failures };
}

const response = { type: MessageType.AppResp, from: 1, to: 2, term: 3 } as const;

function snapshotAt(index: number): Message {
  const confState = { voters: [1], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
  const snapshot = { meta: { index, term: 3, confState }, data: new Uint8Array() };
  const common = { type: MessageType.StorageAppend, from: 1, to: LOCAL_APPEND, term: 3, vote: 0 };
  return { ...common, commit: index, snapshot, responses: [response] };
}

test('a snapshot is put in place once, also when the log finds no room to go on behind it at first', async (t) => {
  const { clock, queue, batches, installed, answered, failures } = setup(2);
  queue.add(snapshotAt(40));
  await clock.advance(10);
  t.true(queue.full);
  t.deepEqual(answered, [], 'nothing is promised yet');
  await clock.advance(2_000);
  t.deepEqual([installed, failures], [[40], []]);
  t.deepEqual(
    batches.map(({ restart }) => restart),
    [{ index: 40, term: 3 }],
  );
  t.deepEqual(answered, [response]);
  t.false(queue.full);
});
