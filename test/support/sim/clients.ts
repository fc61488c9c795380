import { codeOf } from '#proto/base/errors.ts';
import { type Random, randomInt } from '#proto/base/random.ts';
import { brief, type Call } from './book.ts';
import type { Life, SimManager } from './manager.ts';
import type { SimObject, Wish } from './objects.ts';
import type { SimTime } from './time.ts';

/** How long a client waits for an answer before it turns to something else. */
const PATIENCE_MS = 2500;
/** Between a client and a manager, each way. */
const WAY_MS_MAX = 3;

export interface ClientsOpts {
  readonly count: number;
  /** By all together. */
  readonly operationsMax: number;
  /** Of each, between two operations. */
  readonly pauseMsMax: number;
}

export interface ClientsModules {
  readonly time: SimTime;
  readonly random: Random;
  readonly objects: readonly SimObject[];
  /** Managers that run. */
  readonly managers: () => readonly SimManager[];
  readonly note: (text: string) => void;
}

/** What came of an operation: `forget`, that it certainly changed nothing; `unknown`, that it may yet. */
type Ending = { readonly output: unknown } | 'forget' | 'unknown';

/** Users of the cluster, each doing one thing after the other. */
export class Clients {
  readonly #opts: ClientsOpts;
  readonly #modules: ClientsModules;
  #stopped = false;
  #numbers = 0;
  answered = 0;
  unknown = 0;

  constructor(opts: ClientsOpts, modules: ClientsModules) {
    this.#opts = opts;
    this.#modules = modules;
  }

  start(): void {
    for (let client = 1; client <= this.#opts.count; client += 1) void this.#live(`c${client}`);
  }

  stop(): void {
    this.#stopped = true;
  }

  async #live(client: string): Promise<void> {
    const { time, random, objects } = this.#modules;
    for (;;) {
      await time.sleep(random.next() * this.#opts.pauseMsMax);
      if (this.#stopped || this.#numbers >= this.#opts.operationsMax) return;
      await this.#use(client, objects[randomInt(random, objects.length)] as SimObject);
    }
  }

  /** One operation on each object. */
  async useAll(client: string): Promise<void> {
    for (const object of this.#modules.objects) await this.#use(client, object);
  }

  async #use(client: string, object: SimObject): Promise<void> {
    const { random, note } = this.#modules;
    this.#numbers += 1;
    const input = object.choose(random, this.#numbers);
    const wish = object.wish(input);
    const manager = this.#chooseManager(wish.kind);
    if (manager === undefined) return;
    const what = `${client} ${object.name} ${brief(input)} at ${manager.name}`;
    note(`${what} ...`);
    const call = object.page.call(input);
    const ending = await this.#within(this.#carryOut(manager, wish));
    note(`${what}: ${brief(ending)}`);
    this.#end(call, wish, ending);
  }

  #end(call: Call<unknown>, wish: Wish<unknown>, ending: Ending): void {
    if (typeof ending === 'object') {
      call.returned(ending.output);
      this.answered += 1;
    } else if (ending === 'forget' || wish.kind === 'read') call.forget();
    else this.unknown += 1;
  }

  /** Mostly who leads, for reads as often anybody. Where two believe to lead, one writes and the other one is asked. */
  #chooseManager(kind: Wish<unknown>['kind']): SimManager | undefined {
    const { random, managers } = this.#modules;
    const all = managers().filter(({ life }) => life?.consensus !== undefined);
    const leaders = all.filter(({ leading }) => leading).sort((a, b) => b.term - a.term);
    const dice = random.next();
    if (leaders.length > 1 && dice < 0.8) return kind === 'read' ? leaders.at(-1) : leaders[0];
    const some = leaders.length > 0 && dice < (kind === 'read' ? 0.5 : 0.97) ? leaders : all;
    return some[randomInt(random, some.length)];
  }

  #within(ending: Promise<Ending>): Promise<Ending> {
    const { promise, resolve } = Promise.withResolvers<Ending>();
    const cancel = this.#modules.time.after(PATIENCE_MS, () => resolve('unknown'));
    void ending.then(resolve).finally(cancel);
    return promise;
  }

  async #carryOut(manager: SimManager, wish: Wish<unknown>): Promise<Ending> {
    try {
      const delayMs = this.#modules.random.next() * WAY_MS_MAX;
      return (await manager.ask((life) => fulfil(life, wish), delayMs)) ?? 'unknown';
    } catch (error) {
      return endingOf(codeOf(error));
    }
  }
}

async function fulfil({ store }: Life, wish: Wish<unknown>): Promise<Ending> {
  if (store === undefined) return 'forget';
  if (wish.kind === 'read') {
    await store.readBarrier();
    return { output: wish.look(store.view()) };
  }
  const transaction = wish.plan(store.view());
  if (transaction === undefined) return 'forget';
  await store.update(transaction);
  return { output: wish.output };
}

/** These say that nothing was changed. */
function endingOf(code: string): Ending {
  return code === 'UNAVAILABLE' || code === 'OUT_OF_SEQUENCE' || code === 'CONFLICT' ? 'forget' : 'unknown';
}
