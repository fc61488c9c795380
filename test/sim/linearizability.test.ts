import test from 'ava';
import {
  checkLinearizable,
  type Model,
  type ModelState,
  type Operation,
  partition,
  type Verdict,
} from '../support/sim/linearizability.ts';
import { keyModel, type RegisterOutput, registerModel } from '../support/sim/models.ts';
import { type KeyOperation, linearizableLogs, readJepsenLog, readKeyLog } from '../support/sim/porcupine.ts';

const register = registerModel<number>();
const JEPSEN_LOGS = 103;
/** That cluster did not start. */
const EMPTY_LOG = 95;

test('jepsen: each of the recorded histories of etcd gets the verdict that is known of it', (t) => {
  const linearizable = linearizableLogs();
  for (let number = 0; number < JEPSEN_LOGS; number += 1) {
    if (number === EMPTY_LOG) continue;
    const { verdict } = checkLinearizable(register, readJepsenLog(number));
    t.is(verdict, linearizable.has(number) ? 'linearizable' : 'not linearizable', `log ${number}`);
  }
});

for (const clients of ['c01', 'c10', 'c50']) {
  test(`key-value: the history of ${clients} that is right is found right, the one that is wrong, wrong`, (t) => {
    t.true(partsOf(`${clients}-ok`).every((part) => verdictOf(part) === 'linearizable'));
    t.true(partsOf(`${clients}-bad`).some((part) => verdictOf(part) === 'not linearizable'));
  });
}

function partsOf(name: string): KeyOperation[][] {
  return [...partition(readKeyLog(name), ({ key }) => key).values()];
}

function verdictOf(part: readonly KeyOperation[]): Verdict {
  return checkLinearizable(keyModel, part).verdict;
}

const write = (value: number, calledAt: number, returnedAt?: number) =>
  ({ input: { kind: 'write', value }, calledAt, returnedAt, output: {} }) as const;
const read = (value: number | null, calledAt: number, returnedAt: number) =>
  ({ input: { kind: 'read' }, calledAt, returnedAt, output: { value } }) as const;
const cas = (from: number, to: number, made: boolean | undefined, calledAt: number, returnedAt?: number) => {
  const output: RegisterOutput<number> | undefined = made === undefined ? undefined : { made };
  return { input: { kind: 'cas', from, to }, calledAt, returnedAt, output } as const;
};

test('register: a read under way together with a write may see it or not', (t) => {
  t.is(checkLinearizable(register, [write(1, 0, 3), read(1, 1, 2)]).verdict, 'linearizable');
  t.is(checkLinearizable(register, [write(1, 0, 3), read(null, 1, 2)]).verdict, 'linearizable');
});

test('register: what one read has seen no later read can miss', (t) => {
  const history = [write(1, 0, 9), read(1, 1, 2), read(null, 3, 4)];
  t.is(checkLinearizable(register, history).verdict, 'not linearizable');
});

test('register: a write whose outcome is unknown may take effect late, or never, but not before its call', (t) => {
  const late = [write(1, 0, 1), write(2, 2), read(1, 3, 4), read(2, 5, 6)];
  t.is(checkLinearizable(register, late).verdict, 'linearizable');
  t.is(checkLinearizable(register, late.slice(0, 3)).verdict, 'linearizable');
  const early = [write(1, 0, 1), read(2, 2, 3), write(2, 4)];
  t.is(checkLinearizable(register, early).verdict, 'not linearizable');
  const twice = [write(1, 0, 1), write(2, 2), read(2, 3, 4), read(1, 5, 6)];
  t.is(checkLinearizable(register, twice).verdict, 'not linearizable');
});

test('register: of two exchanges of the same value one is made', (t) => {
  const both = [write(1, 0, 1), cas(1, 2, true, 2, 5), cas(1, 3, true, 3, 4)];
  t.is(checkLinearizable(register, both).verdict, 'not linearizable');
  const one = [write(1, 0, 1), cas(1, 2, true, 2, 5), cas(1, 3, false, 3, 4)];
  t.is(checkLinearizable(register, one).verdict, 'linearizable');
  const unknown = [write(1, 0, 1), cas(1, 2, undefined, 2), cas(1, 3, true, 3, 4), read(3, 5, 6)];
  t.is(checkLinearizable(register, unknown).verdict, 'linearizable');
});

test('finding: the longest order that was found ends where the history can not go on', (t) => {
  const [first, second, wrong] = [write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)];
  const { longest } = checkLinearizable(register, [first, second, wrong]);
  t.deepEqual(longest, [first, second]);
});

test('bound: a search that takes too long is given up, and says so', (t) => {
  const history = Array.from({ length: 30 }, (_, at) => write(at, at, 100 + at));
  t.is(checkLinearizable(register, [...history, read(99, 200, 201)], 10_000).verdict, 'undecided');
});

test('search: agrees with trying every order, on all small histories', (t) => {
  for (const history of smallHistories())
    t.is(
      checkLinearizable(register, history).verdict,
      existsOrder(register, register.initial, history) ? 'linearizable' : 'not linearizable',
      JSON.stringify(history),
    );
});

type Ops = readonly Operation<Parameters<typeof register.step>[1], RegisterOutput<number>>[];

/** Three operations in each of the ways in which three intervals can overlap, with and without outcome. */
function* smallHistories(): Generator<Ops> {
  const kinds = [
    (from: number, to?: number) => write(1, from, to),
    (from: number, to?: number) => write(2, from, to),
    (from: number, to?: number) => cas(1, 2, to === undefined ? undefined : true, from, to),
    (from: number, to?: number) => cas(1, 2, to === undefined ? undefined : false, from, to),
    (from: number, to?: number) => read(1, from, to ?? 9),
    (from: number, to?: number) => read(2, from, to ?? 9.5),
  ];
  const moments = [0, 1, 2, 3, 4, 5];
  for (const a of kinds)
    for (const b of kinds)
      for (const c of kinds)
        for (const [p = 0, q = 0, r = 0] of [
          [1, 3, 5],
          [2, 3, 5],
          [3, 4, 5],
          [5, 3, 4],
          [4, 5, 3],
        ]) {
          const starts = moments.filter((moment) => ![p, q, r].includes(moment));
          const [s0 = 0, s1 = 0, s2 = 0] = starts;
          yield [a(s0, p), b(s1, q), c(s2, r)];
          yield [a(s0), b(s1, q), c(s2, r)];
          yield [a(s0, p), b(s1), c(s2, r)];
        }
}

/** By the definition: some order, in which nothing comes before what had returned when it was called. */
function existsOrder<Input, Output, State extends ModelState>(
  model: Model<Input, Output, State>,
  state: State,
  left: readonly Operation<Input, Output>[],
): boolean {
  if (left.every(({ returnedAt }) => returnedAt === undefined)) return true;
  return left.some((operation) => {
    const others = left.filter((other) => other !== operation);
    if (others.some(({ returnedAt }) => (returnedAt ?? Number.POSITIVE_INFINITY) < operation.calledAt))
      return false;
    const after = model.step(state, operation.input, operation.output);
    return typeof after !== 'symbol' && existsOrder(model, after, others);
  });
}
