import type { TestFn } from 'ava';
import type { Executor, TaskContext } from '#agent/exec/executor.ts';

/** An executor under test, and how to have it run a task that stays, ends with a code, or can't start. */
export interface ExecutorFixture extends AsyncDisposable {
  readonly executor: Executor;
  staying(id: string): TaskContext;
  exiting(id: string, code: number): TaskContext;
  broken(id: string): TaskContext;
  /** Lets time pass until `promise` settles. */
  settle<T>(promise: Promise<T>): Promise<T>;
}

const never = new AbortController().signal;

/** Promises every executor keeps; a new one is done when this passes against it. */
export function executorSuite(test: TestFn, name: string, open: () => Promise<ExecutorFixture>): void {
  test(`${name}: a task that ends by itself gives its exit code`, async (t) => {
    await using fixture = await open();
    const controller = fixture.executor.controller(fixture.exiting('t1', 7));
    await fixture.settle(controller.prepare(never));
    await fixture.settle(controller.start(never));
    t.is((await fixture.settle(controller.wait(never))).code, 7);
    t.is(controller.info().container?.exitCode, 7);
  });

  test(`${name}: shutdown ends wait with an exit status, not an error`, async (t) => {
    await using fixture = await open();
    const controller = fixture.executor.controller(fixture.staying('t2'));
    await fixture.settle(controller.prepare(never));
    await fixture.settle(controller.start(never));
    const waiting = controller.wait(never);
    await fixture.settle(controller.shutdown(never));
    t.true((await fixture.settle(waiting)).code >= 128);
  });

  test(`${name}: prepare and start may be called again after they were done`, async (t) => {
    await using fixture = await open();
    const context = fixture.staying('t3');
    const controller = fixture.executor.controller(context);
    await fixture.settle(controller.prepare(never));
    await fixture.settle(controller.start(never));
    const again = fixture.executor.controller(context);
    await fixture.settle(again.prepare(never));
    await fixture.settle(again.start(never));
    t.is(again.info().container?.id, controller.info().container?.id);
  });

  test(`${name}: a task that can't start says so, and can still be shut down and removed`, async (t) => {
    await using fixture = await open();
    const controller = fixture.executor.controller(fixture.broken('t4'));
    await t.throwsAsync(async () => {
      await fixture.settle(controller.prepare(never));
      await fixture.settle(controller.start(never));
    });
    await fixture.settle(controller.shutdown(never));
    await fixture.settle(controller.remove(never));
    t.pass();
  });

  test(`${name}: shutdown and remove are harmless when nothing ever ran`, async (t) => {
    await using fixture = await open();
    const controller = fixture.executor.controller(fixture.staying('t5'));
    await fixture.settle(controller.shutdown(never));
    await fixture.settle(controller.remove(never));
    t.deepEqual(controller.info(), {});
  });

  test(`${name}: wait gives up when its signal aborts, and the task goes on`, async (t) => {
    await using fixture = await open();
    const controller = fixture.executor.controller(fixture.staying('t6'));
    await fixture.settle(controller.prepare(never));
    await fixture.settle(controller.start(never));
    const giveUp = new AbortController();
    const waiting = controller.wait(giveUp.signal);
    giveUp.abort(new Error('enough'));
    await t.throwsAsync(waiting);
    t.is(controller.info().container?.exitCode, undefined);
  });

  test(`${name}: sweep removes what is left of tasks that nobody keeps`, async (t) => {
    await using fixture = await open();
    const kept = fixture.staying('t7');
    const dropped = fixture.staying('t8');
    for (const context of [kept, dropped]) {
      await fixture.settle(fixture.executor.controller(context).prepare(never));
      await fixture.settle(fixture.executor.controller(context).start(never));
    }
    await fixture.settle(fixture.executor.sweep(new Set([kept.task.id]), never));
    t.truthy(fixture.executor.controller(kept).info().container);
    t.deepEqual(fixture.executor.controller(dropped).info(), {});
  });
}
