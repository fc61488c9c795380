import test from 'ava';
import { nullLog } from '#proto/base/log.ts';
import { seededRandom } from '#proto/base/random.ts';
import { SimGroup } from '../support/sim/group.ts';

const OPERATIONS_MAX = 12;

/** One of two managers removes the other, which goes as soon as it knows; the power fails after so many operations. */
async function removeOther(operations: number): Promise<string | undefined> {
  const opts = { members: 2, limits: { segmentBytes: 32 * 1024 }, leaseReads: false, bug: {} };
  const group = new SimGroup(opts, {
    random: seededRandom(operations + 1),
    note: () => undefined,
    log: nullLog,
  });
  await group.form();
  const leader = group.leader();
  const other = group.managers.find((manager) => manager !== leader);
  if (leader?.life === undefined || other?.life?.consensus === undefined) return 'the group does not form';
  other.life.consensus.onRemoved(() => other.end(false));
  leader.life.disk.operationsLeft = operations;
  let isAnswered = false;
  void group.changes.remove(other).then(() => {
    isAnswered = true;
  });
  await group.until(() => isAnswered || leader.life === undefined, 'the power fails, or it is done');
  leader.end(true);
  group.restart(leader);
  await group.until(() => group.leader() !== undefined, 'somebody leads');
  return group.truth.violation;
}

test('members: of two managers, the one that removes the other goes on, whenever it loses power', async (t) => {
  for (let operations = 1; operations <= OPERATIONS_MAX; operations += 1)
    t.is(await removeOther(operations), undefined, `after ${operations} operations on the disk`);
});
