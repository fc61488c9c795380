import test from 'ava';
import { READS_WITHOUT_QUORUM } from '../support/sim/bugs.ts';
import { findOut } from '../support/sim/find-out.ts';
import {
  COMES_BACK_AS_BEFORE,
  DROPS_WHAT_IS_NOT_COMMITTED,
  HANDS_OVER_WITH_A_LEASE,
  NEVER_HANDS_OVER,
  REMOVED_ARE_HEARD,
  SAYS_NOTHING_WHEN_FULL,
  VOTES_AT_ONCE,
  withoutJointPhase,
} from '../support/sim/member-bugs.ts';

/* Tests of the simulation: what is done wrong on purpose where managers come and go is found out, too. */

test.serial('found out: a change of several members that the voters before have no say in', async (t) => {
  using _ = withoutJointPhase();
  const { seed, violation } = await findOut({
    troubles: ['several members', 'several members', 'cuts', 'ends'],
    members: 5,
  });
  t.log(`seed ${seed}: ${violation}`);
  t.regex(
    violation,
    /^(election safety|leader completeness|state-machine safety|linearizability|log matching)/,
  );
});

const PLANTED = [
  {
    what: 'a manager that comes back as the member it was, by the term that it forgot',
    opts: { bug: COMES_BACK_AS_BEFORE, troubles: ['demotions'], members: 3 },
    sign: /^(hard state|one vote)/,
  },
  {
    what: 'a member that votes and has never run',
    opts: { bug: VOTES_AT_ONCE, troubles: ['absent members'], members: 3 },
    sign: /^members/,
  },
  {
    what: 'a manager that was removed and is listened to, by the leader that it unseats',
    opts: { bug: REMOVED_ARE_HEARD, troubles: ['lost members'], members: 5 },
    sign: /^quiet/,
  },
  {
    what: 'a leader that rests on its lease while another takes over, by a read that misses a write',
    opts: { bug: HANDS_OVER_WITH_A_LEASE, leaseReads: true, troubles: ['others'], members: 3 },
    sign: /^linearizability/,
  },
  {
    what: 'a leader that is stopped and hands over to nobody',
    opts: { bug: NEVER_HANDS_OVER, troubles: ['handovers'], members: 3 },
    sign: /^handover/,
  },
  {
    what: 'a full disk that loses what is written without a word, by what is missing later',
    opts: { bug: SAYS_NOTHING_WHEN_FULL, troubles: ['full disks', 'ends'], members: 3 },
    sign: /^(start|hard state|one vote|same state|leader completeness|linearizability|m\d+ stopped)/,
  },
  {
    what: 'a leader whose disk held it up, and that answers reads at once, by a read that misses a write',
    opts: { bug: READS_WITHOUT_QUORUM, leaseReads: false, troubles: ['stalls'], members: 3 },
    sign: /^linearizability/,
  },
  {
    what: 'a manager that goes on alone with less than it had',
    opts: { bug: DROPS_WHAT_IS_NOT_COMMITTED, disaster: true, troubles: ['cuts', 'ends'], members: 3 },
    sign: /^(alone|state-machine safety)/,
  },
] as const;

for (const { what, opts, sign } of PLANTED) {
  test(`found out: ${what}`, async (t) => {
    const { seed, violation } = await findOut(opts);
    t.log(`seed ${seed}: ${violation}`);
    t.regex(violation, sign);
  });
}
