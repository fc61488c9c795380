import test from 'ava';
import {
  APPLIES_TWICE,
  DOES_NOT_SYNC,
  FORGETS_ITS_VOTE,
  LEASE_OF_A_SLOW_CLOCK,
  READS_WITHOUT_QUORUM,
  SAYS_NO_FOR_UNKNOWN,
  SNAPSHOT_MISSES_AN_ENTRY,
  TAKES_ANY_ENTRY_FOR_ITS_OWN,
} from '../support/sim/bugs.ts';
import { findOut } from '../support/sim/find-out.ts';

/* Tests of the simulation: what is done wrong on purpose is found out, and by what gives it away. */

const PLANTED = [
  {
    what: 'a vote that is forgotten over a restart, by a second vote in the same term',
    opts: { bug: FORGETS_ITS_VOTE, troubles: ['ends'], members: 5 },
    sign: /^(one vote|election safety|log matching|leader completeness|state-machine safety|same state)/,
  },
  {
    what: 'a log that is acknowledged before it is synced, by what is missing after a power failure',
    opts: { bug: DOES_NOT_SYNC, troubles: ['ends'], members: 3 },
    sign: /^(start|hard state|one vote|leader completeness|linearizability)/,
  },
  {
    what: 'a leader that answers reads without a quorum, by a read that misses a write',
    opts: { bug: READS_WITHOUT_QUORUM, troubles: ['cuts', 'hangs'], members: 3 },
    sign: /^linearizability/,
  },
  {
    what: 'two leaders with a lease at once, under a clock that is too slow, by a read that misses a write',
    opts: { bug: LEASE_OF_A_SLOW_CLOCK, leaseReads: true, troubles: ['cuts', 'hangs'], members: 3 },
    sign: /^linearizability/,
  },
  {
    what: 'a proposal whose outcome is taken from its index alone, by the other entry that is there',
    opts: { bug: TAKES_ANY_ENTRY_FOR_ITS_OWN, troubles: ['cuts'], members: 3 },
    sign: /^outcomes/,
  },
  {
    what: 'an unknown outcome that is told as not made, by the entry that is applied later',
    opts: { bug: SAYS_NO_FOR_UNKNOWN, troubles: ['cuts'], members: 3 },
    sign: /^(outcomes|linearizability)/,
  },
  {
    what: 'an entry that is applied twice after a restart, by the state that differs',
    opts: { bug: APPLIES_TWICE, troubles: ['ends'], members: 3 },
    sign: /^(same state|linearizability)/,
  },
  {
    what: 'a snapshot that misses an entry, by the state of who starts from it',
    opts: { bug: SNAPSHOT_MISSES_AN_ENTRY, troubles: ['ends', 'members'], members: 3 },
    sign: /^(same state|linearizability)/,
  },
] as const;

for (const { what, opts, sign } of PLANTED) {
  test(`found out: ${what}`, async (t) => {
    const { seed, violation } = await findOut(opts);
    t.log(`seed ${seed}: ${violation}`);
    t.regex(violation, sign);
  });
}
