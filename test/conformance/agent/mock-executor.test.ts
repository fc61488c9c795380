import test from 'ava';
import { MockExecutor } from '#agent/exec/mock/mock-executor.ts';
import { DESCRIPTION, taskContext } from '#test/support/agent-tasks.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { type ExecutorFixture, executorSuite } from './executor-suite.ts';

executorSuite(test, 'mock executor', async (): Promise<ExecutorFixture> => {
  const clock = new VirtualClock();
  return {
    executor: new MockExecutor(DESCRIPTION, { clock }),
    staying: (id) => taskContext(id, { 'shoal.mock.start-ms': '50' }),
    exiting: (id, code) => taskContext(id, { 'shoal.mock.run-ms': '500', 'shoal.mock.exit': String(code) }),
    broken: (id) => taskContext(id, { 'shoal.mock.start-error': 'no such thing' }),
    async settle(promise) {
      await Promise.race([promise.catch(() => undefined), clock.advance(60_000)]);
      return promise;
    },
    async [Symbol.asyncDispose]() {},
  };
});
