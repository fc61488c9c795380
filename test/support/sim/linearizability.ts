/*
 * Is there an order of the operations of a history, each taking effect in one moment between its call and its return,
 * that the sequential model allows? The search of Wing and Gong ("Testing and verifying concurrent objects", 1993), with
 * Lowe's linked list of events and memory of what was tried ("Testing for linearizability", 2016): the same set of
 * operations leading to the same state need not be looked at twice.
 *
 * Three things keep the search small where many outcomes are unknown, and lose no order worth finding:
 * what only looks takes effect as soon as it can, for then it is in nobody's way; what need not have taken effect does so
 * only where it changes something; and of such operations that are alike, the one called first goes first.
 */

/** Compared with ===, which is what makes remembering states cheap. */
export type ModelState = string | number | null;

/** Given back by a model when an operation can't have had that output. */
export const IMPOSSIBLE: unique symbol = Symbol('impossible');

/** What one object does when it is used by one client alone. */
export interface Model<Input, Output, State extends ModelState> {
  readonly initial: State;
  /** The state after an operation, or IMPOSSIBLE; of an operation without output any is possible. */
  step(state: State, input: Input, output: Output | undefined): State | typeof IMPOSSIBLE;
  /** Whether an operation with this outcome leaves every state as it is in which it is possible. */
  onlyLooks(input: Input, output: Output | undefined): boolean;
  /**
   * Whether anything in a history could be due to an operation of which nobody knows whether it took effect. What left
   * no trace is passed over: there is an order without it, if there is one with it. Default: it could.
   */
  leftTrace?(input: Input, history: readonly Operation<Input, Output>[]): boolean;
}

/** Something a client did. Moments are numbers without unit, each used once. */
export interface Operation<Input, Output> {
  readonly input: Input;
  readonly calledAt: number;
  /** Undefined: it is not known whether it took effect; if so, at any time after the call. */
  readonly returnedAt?: number | undefined;
  /** Undefined with a return: it took effect, and what came of it is not known. */
  readonly output?: Output | undefined;
}

/** `undecided`: the search was given up. */
export type Verdict = 'linearizable' | 'not linearizable' | 'undecided';

export interface Finding<Input, Output> {
  readonly verdict: Verdict;
  /** The longest order that was found; what comes after it is where to look. */
  readonly longest: readonly Operation<Input, Output>[];
}

/** How many steps a search may take: seconds. */
const STEPS_MAX = 20_000_000;

/** Checks the history of one object. */
export function checkLinearizable<Input, Output, State extends ModelState>(
  model: Model<Input, Output, State>,
  history: readonly Operation<Input, Output>[],
  stepsMax = STEPS_MAX,
): Finding<Input, Output> {
  const traced = history.filter(
    ({ input, returnedAt }) => returnedAt !== undefined || (model.leftTrace?.(input, history) ?? true),
  );
  return new Search(model, traced, stepsMax).run();
}

/** The histories of single objects within one of many. */
export function partition<O>(history: readonly O[], keyOf: (operation: O) => string): Map<string, O[]> {
  const parts = new Map<string, O[]>();
  for (const operation of history) {
    const part = parts.get(keyOf(operation));
    if (part === undefined) parts.set(keyOf(operation), [operation]);
    else part.push(operation);
  }
  return parts;
}

/** A call or a return, in the order in which they happened. */
interface Event {
  readonly operation: number;
  /** Of a call: the return. Of a return, and of a call that never returned: undefined. */
  readonly match: Event | undefined;
  readonly isCall: boolean;
  readonly onlyLooks: boolean;
  /** Of a call that never returned: the operation called last before it that is alike and never returned either. */
  readonly twin: number | undefined;
  previous: Event | undefined;
  next: Event | undefined;
}

interface Chosen<State> {
  readonly call: Event;
  readonly before: State;
  /** Nothing else in its place can lead further. */
  readonly settled: boolean;
}

class Search<Input, Output, State extends ModelState> {
  readonly #model: Model<Input, Output, State>;
  readonly #operations: readonly Operation<Input, Output>[];
  /** Stands before the first event. */
  readonly #head: Event = {
    operation: -1,
    match: undefined,
    isCall: false,
    onlyLooks: false,
    twin: undefined,
    previous: undefined,
    next: undefined,
  };
  readonly #done: Uint32Array;
  readonly #tried = new Tried<State>();
  readonly #stack: Chosen<State>[] = [];
  #state: State;
  /** Of the operations that are done: the exclusive or of one random number for each. */
  #hash = 0;
  #returnsLeft: number;
  #longest: readonly number[] = [];
  #stepsLeft: number;

  constructor(
    model: Model<Input, Output, State>,
    operations: readonly Operation<Input, Output>[],
    stepsMax: number,
  ) {
    this.#model = model;
    this.#operations = operations;
    this.#stepsLeft = stepsMax;
    this.#state = model.initial;
    this.#done = new Uint32Array(Math.ceil(operations.length / 32));
    this.#returnsLeft = operations.filter(({ returnedAt }) => returnedAt !== undefined).length;
    link(this.#head, model, operations);
  }

  run(): Finding<Input, Output> {
    const verdict = this.#search();
    return { verdict, longest: this.#longest.map((at) => this.#operations[at] as Operation<Input, Output>) };
  }

  #search(): Verdict {
    let event = this.#head.next;
    while (this.#returnsLeft > 0) {
      this.#stepsLeft -= 1;
      if (this.#stepsLeft < 0) return 'undecided';
      if (event?.isCall) {
        event = this.#choose(event) ? this.#head.next : event.next;
        continue;
      }
      // Here something returned that did not take effect yet: what was chosen before was wrong.
      this.#noteLongest();
      const last = this.#back();
      if (last === undefined) return 'not linearizable';
      event = last.call.next;
    }
    this.#noteLongest();
    return 'linearizable';
  }

  /** Undoes the last choice that could have been another. */
  #back(): Chosen<State> | undefined {
    for (;;) {
      const last = this.#stack.pop();
      if (last === undefined) return undefined;
      this.#undo(last);
      if (!last.settled) return last;
    }
  }

  /** Lets an operation take effect next, if it can and this is new. */
  #choose(call: Event): boolean {
    const at = call.operation;
    if (call.twin !== undefined && !this.#isDone(call.twin)) return false;
    const { input, output } = this.#operations[at] as Operation<Input, Output>;
    const after = this.#model.step(this.#state, input, output);
    if (after === IMPOSSIBLE || (call.match === undefined && after === this.#state)) return false;
    this.#flip(at);
    if (!this.#tried.add(this.#hash, this.#done, after)) {
      this.#flip(at);
      return false;
    }
    this.#stack.push({ call, before: this.#state, settled: call.onlyLooks });
    this.#state = after;
    unlink(call);
    if (call.match !== undefined) {
      unlink(call.match);
      this.#returnsLeft -= 1;
    }
    return true;
  }

  #undo({ call, before }: Chosen<State>): void {
    this.#state = before;
    this.#flip(call.operation);
    if (call.match !== undefined) {
      relink(call.match);
      this.#returnsLeft += 1;
    }
    relink(call);
  }

  #isDone(at: number): boolean {
    return ((this.#done[at >>> 5] as number) & (1 << (at & 31))) !== 0;
  }

  #flip(at: number): void {
    (this.#done[at >>> 5] as number) ^= 1 << (at & 31);
    this.#hash ^= scramble(at + 1);
  }

  #noteLongest(): void {
    if (this.#stack.length <= this.#longest.length && this.#longest.length > 0) return;
    this.#longest = this.#stack.map(({ call }) => call.operation);
  }
}

/** Which sets of operations have led to which states. */
class Tried<State> {
  /** By state, then by the hash of the set: many orders of one set may lead to as many states. */
  readonly #byState = new Map<State, Map<number, Uint32Array[]>>();

  /** Whether it is new. */
  add(hash: number, done: Uint32Array, state: State): boolean {
    const sets = this.#byState.get(state);
    if (sets === undefined) {
      this.#byState.set(state, new Map([[hash, [done.slice()]]]));
      return true;
    }
    const alike = sets.get(hash);
    if (alike?.some((other) => sameBits(other, done))) return false;
    if (alike === undefined) sets.set(hash, [done.slice()]);
    else alike.push(done.slice());
    return true;
  }
}

function sameBits(a: Uint32Array, b: Uint32Array): boolean {
  return a.every((word, at) => word === b[at]);
}

/** A number that looks random, for a small one. */
function scramble(value: number): number {
  let mixed = Math.imul(value, 0x9e3779b9);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) | 0;
}

function link<Input, Output, State extends ModelState>(
  head: Event,
  model: Model<Input, Output, State>,
  operations: readonly Operation<Input, Output>[],
): void {
  const moments = eventsOf(model, operations).sort((a, b) => a.at - b.at);
  let previous = head;
  for (const { event } of moments) {
    previous.next = event;
    event.previous = previous;
    previous = event;
  }
}

interface Moment {
  readonly at: number;
  readonly event: Event;
}

function eventsOf<Input, Output, State extends ModelState>(
  model: Model<Input, Output, State>,
  operations: readonly Operation<Input, Output>[],
): Moment[] {
  const moments: Moment[] = [];
  const twins = new Map<string, number>();
  for (const operation of byCall(operations)) {
    const { input, output, calledAt, returnedAt } = operations[operation] as Operation<Input, Output>;
    const common = { operation, previous: undefined, next: undefined };
    const onlyLooks = model.onlyLooks(input, output);
    if (returnedAt === undefined) {
      const what = JSON.stringify(input);
      const twin = twins.get(what);
      twins.set(what, operation);
      const event = { ...common, isCall: true, match: undefined, onlyLooks: false, twin };
      moments.push({ at: calledAt, event });
      continue;
    }
    const match = { ...common, isCall: false, match: undefined, onlyLooks, twin: undefined };
    moments.push({ at: returnedAt, event: match });
    moments.push({ at: calledAt, event: { ...common, isCall: true, match, onlyLooks, twin: undefined } });
  }
  return moments;
}

function byCall(operations: readonly { readonly calledAt: number }[]): number[] {
  const called = (at: number): number => (operations[at] as { calledAt: number }).calledAt;
  return [...operations.keys()].sort((a, b) => called(a) - called(b));
}

function unlink({ previous, next }: Event): void {
  if (previous !== undefined) previous.next = next;
  if (next !== undefined) next.previous = previous;
}

/** In the reverse order of unlinking, so that the neighbours are those it remembers. */
function relink(event: Event): void {
  if (event.previous !== undefined) event.previous.next = event;
  if (event.next !== undefined) event.next.previous = event;
}
