import { checkLinearizable, type Model, type ModelState, type Operation } from './linearizability.ts';

/** An operation under way, to be told how it ended. */
export interface Call<Output> {
  returned(output: Output): void;
  /** It certainly had no effect, or it only looked: as if it had never been. */
  forget(): void;
}

/** How many steps the check of one object's history may take. */
const STEPS_MAX = 2_000_000;

const BRIEF_LENGTH = 120;

/** What clients did to one object: each call and return gets a moment of its own. */
export class Page<Input, Output, State extends ModelState> {
  readonly #model: Model<Input, Output, State>;
  readonly #nextMoment: () => number;
  #operations = new Set<Operation<Input, Output>>();
  #initial: State;
  /** Before the object became what it was not. */
  #earlier: string | undefined;

  constructor(model: Model<Input, Output, State>, nextMoment: () => number) {
    this.#model = model;
    this.#nextMoment = nextMoment;
    this.#initial = model.initial;
  }

  call(input: Input): Call<Output> {
    const called = { input, calledAt: this.#nextMoment() };
    const operations = this.#operations;
    operations.add(called);
    return {
      returned: (output) => {
        operations.delete(called);
        operations.add({ ...called, returnedAt: this.#nextMoment(), output });
      },
      forget: () => void operations.delete(called),
    };
  }

  /** The object is in this state now, whatever was done to it before. What is under way belongs to before. */
  restart(object: string, state: State): void {
    this.#earlier ??= this.#wrong(object);
    this.#operations = new Set();
    this.#initial = state;
  }

  /** What is wrong, if something is. */
  check(object: string): string | undefined {
    return this.#earlier ?? this.#wrong(object);
  }

  #wrong(object: string): string | undefined {
    const history = [...this.#operations];
    const model = { ...this.#model, initial: this.#initial };
    const { verdict, longest } = checkLinearizable(model, history, STEPS_MAX);
    if (verdict === 'linearizable') return undefined;
    if (verdict === 'undecided') return `undecided: the history of ${object} takes too long to check`;
    const next = history
      .filter((operation) => !longest.includes(operation) && operation.returnedAt !== undefined)
      .sort((a, b) => a.calledAt - b.calledAt)[0];
    const last = longest.at(-1);
    return `linearizability: of ${object} no order goes on behind ${say(last)}, with ${say(next)} to come`;
  }
}

/** Everything that clients did, object by object. */
export class Book {
  readonly #pages = new Map<string, { check(object: string): string | undefined }>();
  #moment = 0;

  page<Input, Output, State extends ModelState>(object: string, model: Model<Input, Output, State>) {
    const page = new Page(model, () => this.#nextMoment());
    this.#pages.set(object, page);
    return page;
  }

  check(): string | undefined {
    for (const [object, page] of this.#pages) {
      const wrong = page.check(object);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  #nextMoment(): number {
    this.#moment += 1;
    return this.#moment;
  }
}

function say(operation: Operation<unknown, unknown> | undefined): string {
  if (operation === undefined) return 'nothing';
  const { input, output, calledAt, returnedAt } = operation;
  const end = returnedAt === undefined ? 'no answer' : `${brief(output)} at ${returnedAt}`;
  return `${brief(input)} at ${calledAt} (${end})`;
}

/** A value for people to read: some are large. */
export function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  return text.length <= BRIEF_LENGTH ? text : `${text.slice(0, BRIEF_LENGTH)}...`;
}
