import type { Clock } from '#proto/base/clock.ts';
import type { NetworkState } from '#proto/types/assignments.ts';
import type { NodeDescription } from '#proto/types/objects.ts';
import type { LabelMap } from '#proto/types/specs.ts';
import type { Executor, RunInfo, TaskContext, TaskController, TaskExit, TaskKey } from '../executor.ts';

const EXIT_ON_SIGTERM = 143;

/**
 * An executor without containers, chosen with `shoald --executor mock`. Not a stub: it keeps every promise of the executor
 * conformance suite, and takes its orders from the container labels of a service, so that a test, a demonstration or a
 * load trial can script its tasks:
 *   shoal.mock.prepare-ms=200       how long fetching the image takes
 *   shoal.mock.prepare-error=TEXT   it fails, with this message
 *   shoal.mock.start-ms=50          how long until it is healthy
 *   shoal.mock.start-error=TEXT     it fails to start
 *   shoal.mock.run-ms=500           ends by itself after so long
 *   shoal.mock.exit=7               ... with this code
 *   shoal.mock.stop-ms=100          how long it takes to end after the stop signal
 */
export class MockExecutor implements Executor {
  readonly #clock: Clock;
  readonly #description: NodeDescription;
  readonly #tasks = new Map<TaskKey, MockTask>();

  constructor(description: NodeDescription, modules: { readonly clock: Clock }) {
    this.#clock = modules.clock;
    this.#description = description;
  }

  async describe(): Promise<NodeDescription> {
    return this.#description;
  }

  controller(context: TaskContext): TaskController {
    const known = this.#tasks.get(context.task.id);
    if (known !== undefined) return known;
    const task = new MockTask(context, this.#clock, () => this.#tasks.delete(context.task.id));
    this.#tasks.set(context.task.id, task);
    return task;
  }

  async sweep(keep: ReadonlySet<TaskKey>): Promise<void> {
    for (const taskId of this.#tasks.keys()) if (!keep.has(taskId)) this.#tasks.delete(taskId);
  }

  async applyNetwork(_state: NetworkState): Promise<void> {}
}

class MockTask implements TaskController {
  readonly #labels: LabelMap;
  readonly #clock: Clock;
  readonly #forget: () => void;
  readonly #id: string;
  readonly #ended = Promise.withResolvers<TaskExit>();
  #started = false;
  #exit: TaskExit | undefined;

  constructor(context: TaskContext, clock: Clock, forget: () => void) {
    this.#labels = context.revision.task.container.labels ?? {};
    this.#clock = clock;
    this.#forget = forget;
    this.#id = context.task.id.padEnd(64, '0');
  }

  async prepare(signal: AbortSignal): Promise<void> {
    await this.#take('prepare-ms', signal);
    this.#mayFail('prepare-error');
  }

  async start(signal: AbortSignal): Promise<void> {
    if (this.#started) return;
    await this.#take('start-ms', signal);
    this.#mayFail('start-error');
    this.#started = true;
    const runMs = this.#number('run-ms');
    if (runMs !== undefined) this.#clock.timer(runMs, () => this.#end({ code: this.#number('exit') ?? 0 }));
  }

  wait(signal: AbortSignal): Promise<TaskExit> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      void this.#ended.promise.then(resolve);
    });
  }

  async drain(_signal: AbortSignal): Promise<void> {}

  async shutdown(signal: AbortSignal): Promise<void> {
    if (!this.#started || this.#exit !== undefined) return;
    await this.#take('stop-ms', signal);
    this.#end({ code: EXIT_ON_SIGTERM });
  }

  async remove(signal: AbortSignal): Promise<void> {
    await this.shutdown(signal);
    this.#forget();
  }

  info(): RunInfo {
    if (!this.#started) return {};
    const exit = this.#exit === undefined ? {} : { exitCode: this.#exit.code };
    return { container: { id: this.#id, ...exit } };
  }

  #end(exit: TaskExit): void {
    this.#exit ??= exit;
    this.#ended.resolve(this.#exit);
  }

  #number(name: string): number | undefined {
    const text = this.#labels[`shoal.mock.${name}`];
    return text === undefined ? undefined : Number(text);
  }

  async #take(name: string, signal: AbortSignal): Promise<void> {
    const ms = this.#number(name);
    if (ms !== undefined) await this.#clock.sleep(ms, signal);
  }

  #mayFail(name: string): void {
    const text = this.#labels[`shoal.mock.${name}`];
    if (text !== undefined) throw new Error(text);
  }
}
