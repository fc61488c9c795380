import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import {
  changeConf,
  enterJoint,
  isJoint,
  isVoter,
  LEAVE_JOINT,
  leaveJoint,
  NO_MEMBERS,
  restoreConf,
  simpleChange,
} from '../src/conf-change.ts';
import {
  type ConfChange,
  ConfChangeError,
  type ConfChangeSingle,
  ConfChangeType,
  type ConfState,
  decodeConfChange,
  encodeConfChange,
} from '../src/index.ts';
import { Tracker } from '../src/tracker.ts';
import {
  describeConf,
  describeProgress,
  parseChanges,
  runScript,
  type ScriptCase,
} from '../testing/index.ts';

const SCRIPTS = join(import.meta.dirname, 'data', 'confchange', 'testdata');

for (const name of readdirSync(SCRIPTS).sort()) {
  test(`conf change script: ${name.replace('.txt', '')} prints what is written`, (t) => {
    t.deepEqual(runScript(readFileSync(join(SCRIPTS, name), 'utf8'), conductor()), []);
  });
}

/** Every command counts as one more entry in the log, so that the picture shows when a member came. */
function conductor(): (script: ScriptCase) => string {
  const tracker = new Tracker({ inflightMessagesMax: 10, inflightBytesMax: 0 });
  let lastIndex = -1;
  return (script) => {
    lastIndex += 1;
    try {
      tracker.setConf(runCommand(tracker.conf, script), lastIndex);
    } catch (error) {
      if (error instanceof ConfChangeError) return error.message;
      throw error;
    }
    const progress = tracker.progress.map((one) => `${one.id}: ${describeProgress(one.status())}`);
    return [describeConf(tracker.conf), ...progress].join('\n');
  };
}

function runCommand(conf: ConfState, { command, args, input }: ScriptCase): ConfState {
  const changes = parseChanges(input);
  if (command === 'simple') return simpleChange(conf, changes);
  if (command === 'leave-joint') return leaveJoint(conf);
  const autoLeave = args.some(({ key, values }) => key === 'autoleave' && values[0] === 'true');
  return enterJoint(conf, changes, autoLeave);
}

const ALL_TYPES = Object.values(ConfChangeType);
const anyChange: fc.Arbitrary<ConfChangeSingle> = fc.record({
  type: fc.constantFrom(...ALL_TYPES),
  nodeId: fc.integer({ min: 1, max: 9 }),
});
const anyChanges = fc.array(anyChange, { minLength: 1, maxLength: 9 });
const START: ConfState = { ...NO_MEMBERS, voters: [1] };

/** Member 1 stays, so that there always is a voter. */
const safeChanges = anyChanges.map((changes) => changes.filter(({ nodeId }) => nodeId !== 1));

test('conf change: many changes at once through a joint configuration end where single steps end', (t) => {
  fc.assert(
    fc.property(safeChanges, safeChanges, fc.boolean(), (before, changes, autoLeave) => {
      const from = before.reduce((conf, change) => simpleChange(conf, [change]), START);
      const stepwise = changes.reduce((conf, change) => simpleChange(conf, [change]), from);
      t.deepEqual(leaveJoint(enterJoint(from, changes, autoLeave)), stepwise);
    }),
    { numRuns: 1000 },
  );
});

test('conf change: while joint, whoever had a vote keeps it, and the new ones have theirs', (t) => {
  fc.assert(
    fc.property(safeChanges, safeChanges, (before, changes) => {
      const from = before.reduce((conf, change) => simpleChange(conf, [change]), START);
      const joint = enterJoint(from, changes, true);
      t.deepEqual(joint.votersOutgoing, from.voters);
      t.deepEqual(joint.voters, leaveJoint(joint).voters);
      t.true([...from.voters, ...joint.voters].every((id) => isVoter(joint, id)));
      t.true(joint.learners.every((id) => !isVoter(joint, id)));
      t.deepEqual(restoreConf(joint), joint);
    }),
    { numRuns: 1000 },
  );
});

test('conf change: any sequence is either refused or leaves two neighbouring majorities that meet', (t) => {
  const anyTransition = fc.constantFrom('auto', 'joint-implicit', 'joint-explicit');
  const anyStep = fc.record({ transition: anyTransition, changes: fc.oneof(fc.constant([]), anyChanges) });
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 8 }), (steps) => {
      let conf = START;
      for (const step of steps) {
        const next = tryChange(conf, { ...step, context: new Uint8Array() } as ConfChange);
        if (next !== undefined)
          t.true(majoritiesMeet(conf, next), `${describeConf(conf)} ${describeConf(next)}`);
        conf = next ?? conf;
        t.true(conf.voters.length > 0);
      }
    }),
    { numRuns: 300 },
  );
});

function tryChange(conf: ConfState, change: ConfChange): ConfState | undefined {
  try {
    return changeConf(conf, change);
  } catch (error) {
    if (error instanceof ConfChangeError) return undefined;
    throw error;
  }
}

/** Can't two disjoint sets of members be a quorum each, one before and one after? By trying all sets. */
function majoritiesMeet(before: ConfState, after: ConfState): boolean {
  const everybody = [...new Set([before, after].flatMap((conf) => [...conf.voters, ...conf.votersOutgoing]))];
  for (let set = 0; set < 2 ** everybody.length; set += 1) {
    const inside = everybody.filter((_, at) => Math.floor(set / 2 ** at) % 2 === 1);
    const outside = everybody.filter((id) => !inside.includes(id));
    if (isQuorum(before, inside) && isQuorum(after, outside)) return false;
  }
  return true;
}

function isQuorum({ voters, votersOutgoing }: ConfState, ids: readonly number[]): boolean {
  return [voters, votersOutgoing].every(
    (side) => side.length === 0 || side.filter((id) => ids.includes(id)).length * 2 > side.length,
  );
}

test('conf change: a configuration that breaks the rules is not restored', (t) => {
  const broken: Partial<ConfState>[] = [
    { voters: [1, 2], learners: [2] },
    { voters: [1], votersOutgoing: [2], learners: [2] },
    { voters: [1], learnersNext: [2] },
    { voters: [1, 2], votersOutgoing: [2], learnersNext: [2] },
    { voters: [1], autoLeave: true },
  ];
  for (const conf of broken)
    t.throws(() => restoreConf({ ...NO_MEMBERS, ...conf }), { instanceOf: ConfChangeError });
  t.deepEqual(restoreConf({ ...START, voters: [3, 1, 2] }).voters, [1, 2, 3]);
});

test('conf change: what is encoded is decoded', (t) => {
  const anyId = fc.maxSafeNat();
  const anyConfChange = fc.record({
    transition: fc.constantFrom('auto', 'joint-implicit', 'joint-explicit'),
    changes: fc.array(fc.record({ type: fc.constantFrom(...ALL_TYPES), nodeId: anyId }), { maxLength: 9 }),
    context: fc.uint8Array({ maxLength: 40 }),
  });
  fc.assert(
    fc.property(anyConfChange, (change) => {
      t.deepEqual(decodeConfChange(encodeConfChange(change as ConfChange)), change as ConfChange);
    }),
  );
});

test('conf change: leaving a joint configuration needs no bytes', (t) => {
  t.is(encodeConfChange(LEAVE_JOINT).length, 0);
  const conf = enterJoint(START, [{ type: ConfChangeType.AddNode, nodeId: 2 }], false);
  t.false(isJoint(changeConf(conf, decodeConfChange(new Uint8Array()))));
});

test('conf change: bytes that are none are refused, whatever they are', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 12 }), (bytes) => {
      try {
        const change = decodeConfChange(bytes);
        t.true(change.changes.every(({ nodeId }) => Number.isSafeInteger(nodeId)));
      } catch (error) {
        t.true(error instanceof ConfChangeError);
      }
    }),
    { numRuns: 2000 },
  );
  t.throws(() => decodeConfChange(Uint8Array.of(1, 0, 1, 0)), { message: /cut short/ });
  t.throws(() => decodeConfChange(Uint8Array.of(2, 0, 0)), { message: /version 2/ });
  t.throws(() => decodeConfChange(Uint8Array.of(1, 3, 0)), { message: /transition 3/ });
  t.throws(() => decodeConfChange(Uint8Array.of(1, 0, 1, 4, 1)), { message: /unknown type/ });
  t.throws(() => decodeConfChange(Uint8Array.of(1, 0, 0xff, 0x7f)), {
    message: /changes of members at once/,
  });
});
