import test from 'ava';
import { nextStep, type StepInput } from '#agent/task/step.ts';
import { isTerminal, TaskState } from '#proto/types/states.ts';

const STATES = Object.values(TaskState).filter(
  (state) => state >= TaskState.Assigned && state !== TaskState.Remove,
);
const DESIRED = [TaskState.Ready, TaskState.Running, TaskState.Shutdown, TaskState.Remove] as const;

function input(overrides: Partial<StepInput>): StepInput {
  const task = { desired: TaskState.Running, released: false };
  return { observed: TaskState.Assigned, task, releaseWaitMs: 5_000, nowMs: 100_000, ...overrides };
}

function life(desired: StepInput['task']['desired']): TaskState[] {
  const seen: TaskState[] = [];
  for (let observed: TaskState = TaskState.Assigned; ; ) {
    seen.push(observed);
    const step = nextStep(input({ observed, task: { desired, released: true } }));
    if (step.kind === 'rest') return seen;
    observed = step.to;
  }
}

test('task step: a wanted task walks every state in order', (t) => {
  const { Assigned, Accepted, Preparing, Ready, Starting, Running, Complete } = TaskState;
  t.deepEqual(life(TaskState.Running), [Assigned, Accepted, Preparing, Ready, Starting, Running, Complete]);
});

test('task step: a task that is desired Ready is prepared and held back', (t) => {
  t.is(life(TaskState.Ready).at(-1), TaskState.Ready);
});

test('task step: every step moves forward, and nothing follows a terminal state', (t) => {
  for (const observed of STATES) {
    for (const desired of DESIRED) {
      for (const released of [true, false]) {
        const step = nextStep(input({ observed, task: { desired, released }, leavingSinceMs: 99_000 }));
        if (isTerminal(observed)) t.is(step.kind, 'rest');
        else if (step.kind !== 'rest') t.true(step.to > observed, `${observed} -> ${step.to}`);
      }
    }
  }
});

test('task step: a running task that leaves waits until every node has let go of it', (t) => {
  const task = { desired: TaskState.Shutdown, released: false };
  const leaving = input({ observed: TaskState.Running, task, leavingSinceMs: 98_000 });
  t.deepEqual(nextStep(leaving), { kind: 'rest', untilMs: 103_000 });
  const released = { ...leaving, task: { ...task, released: true } };
  t.deepEqual(nextStep(released), { kind: 'perform', action: 'leave', to: TaskState.Shutdown });
});

test('task step: nobody waits for a release for ever', (t) => {
  const task = { desired: TaskState.Shutdown, released: false };
  const overdue = input({ observed: TaskState.Running, task, leavingSinceMs: 95_000 });
  t.deepEqual(nextStep(overdue), { kind: 'perform', action: 'leave', to: TaskState.Shutdown });
});

test('task step: a task that never ran is shut down at once', (t) => {
  for (const observed of [TaskState.Accepted, TaskState.Preparing, TaskState.Ready, TaskState.Starting]) {
    const step = nextStep(input({ observed, task: { desired: TaskState.Shutdown, released: false } }));
    t.deepEqual(step, { kind: 'perform', action: 'shutdown', to: TaskState.Shutdown });
  }
});
