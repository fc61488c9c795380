/** How many ticks an answer may take before it is asked for again: it may have been lost. */
const ANSWER_TICKS_MAX = 15;

interface WaitingRead {
  readonly id: number;
  readonly untilMs: number;
}

/** A question under way, and who waits for its answer. */
interface Round {
  readonly context: Uint8Array;
  readonly reads: readonly WaitingRead[];
  ticks: number;
}

export interface ReadsModules {
  /** Asks Raft; false when there is nobody to ask at the moment. */
  readonly ask: (context: Uint8Array) => boolean;
  /** These reads may go on once `index` is applied. */
  readonly answer: (ids: readonly number[], index: number) => void;
  /** These waited too long. */
  readonly giveUp: (ids: readonly number[]) => void;
}

/** Linearizable reads: all that wait share one question, and those that come while it is asked share the next. */
export class Reads {
  readonly #modules: ReadsModules;
  #waiting: WaitingRead[] = [];
  #round: Round | undefined;
  #rounds = 0;
  readonly #life: Uint8Array;

  /** `life`: random bytes, so that an answer to a question of an earlier life of this member is known as such. */
  constructor(life: Uint8Array, modules: ReadsModules) {
    this.#life = life;
    this.#modules = modules;
  }

  add(id: number, untilMs: number): void {
    this.#waiting.push({ id, untilMs });
  }

  /** Asks for those that wait, unless a question is under way. */
  flush(): void {
    if (this.#round !== undefined || this.#waiting.length === 0) return;
    const context = this.#nextContext();
    if (!this.#modules.ask(context)) return;
    this.#round = { context, reads: this.#waiting, ticks: 0 };
    this.#waiting = [];
  }

  /** Raft's answer. One to a question that was given up is passed over: it may be too old for who asked since. */
  answered(context: Uint8Array, index: number): void {
    const round = this.#round;
    if (round === undefined || Buffer.compare(round.context, context) !== 0) return;
    this.#round = undefined;
    this.#modules.answer(
      round.reads.map((read) => read.id),
      index,
    );
    this.flush();
  }

  tick(nowMs: number): void {
    const round = this.#round;
    if (round !== undefined) {
      round.ticks += 1;
      if (round.ticks >= ANSWER_TICKS_MAX) this.#askAgain(round.reads);
    }
    const late = this.#waiting.filter((read) => read.untilMs <= nowMs);
    if (late.length > 0) {
      this.#waiting = this.#waiting.filter((read) => read.untilMs > nowMs);
      this.#modules.giveUp(late.map((read) => read.id));
    }
    this.flush();
  }

  #nextContext(): Uint8Array {
    this.#rounds += 1;
    const context = Buffer.alloc(this.#life.length + 8);
    context.set(this.#life);
    context.writeDoubleLE(this.#rounds, this.#life.length);
    return context;
  }

  #askAgain(reads: readonly WaitingRead[]): void {
    this.#round = undefined;
    this.#waiting = [...reads, ...this.#waiting];
  }
}
