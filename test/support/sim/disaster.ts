import { StoreMachine } from '#manager/store/machine.ts';
import type { StoreView } from '#manager/store/view.ts';
import { type Random, randomInt } from '#proto/base/random.ts';
import type { SimGroup } from './group.ts';
import { type SimManager, STATE_DIR } from './manager.ts';
import { readSurvival, type Survival } from './survival.ts';

const LEADS_WITHIN_MS = 20_000;
const LOOK_EVERY_MS = 5;
/** A start that is cut short is tried again; the last of so many is not. */
const STARTS_MAX = 3;
const CUT_SHORT_CHANCE = 0.4;
const OPERATIONS_MAX = 14;
/** Others that join afterwards. */
const JOIN_MAX = 2;

/** All managers but one are gone for good, and that one is told to go on alone, with all that it has and nothing else. */
export class Disaster {
  readonly #group: SimGroup;
  readonly #random: Random;
  /** Given what the survivor has, before anybody else uses it. */
  readonly #begins: (view: StoreView) => void;

  constructor(group: SimGroup, random: Random, begins: (view: StoreView) => void) {
    this.#group = group;
    this.#random = random;
    this.#begins = begins;
  }

  async happen(): Promise<void> {
    const survivors = this.#group.managers.filter((one) => readSurvival(one.disk, STATE_DIR) !== undefined);
    const survivor = survivors[randomInt(this.#random, survivors.length)];
    if (survivor === undefined) return;
    this.#group.loseAllBut(survivor, this.#random.next() < 0.5);
    const survival = await this.#goOnAlone(survivor);
    if (survival === undefined || !(await this.#comesToLead(survivor))) return;
    this.#check(survivor, survival);
    this.#group.isClosed = false;
    for (let count = randomInt(this.#random, JOIN_MAX + 1); count > 0; count -= 1)
      await this.#group.changes.add();
  }

  /** What it went on with. */
  async #goOnAlone(survivor: SimManager): Promise<Survival | undefined> {
    for (let attempt = 1; attempt <= STARTS_MAX; attempt += 1) {
      const survival = readSurvival(survivor.disk, STATE_DIR);
      if (survival === undefined) break;
      this.#group.truth.goOnAlone(survivor.raftId, survival);
      await this.#startAlone(survivor, attempt < STARTS_MAX && this.#random.next() < CUT_SHORT_CHANCE);
      if (survivor.life?.consensus !== undefined) return survival;
    }
    this.#group.truth.violate(`alone: ${survivor.name} does not go on with what it has`);
    return undefined;
  }

  async #startAlone(survivor: SimManager, isCutShort: boolean): Promise<void> {
    this.#group.note(`weather: ${survivor.name} goes on alone`);
    const started = survivor.start(undefined, true);
    const { life } = survivor;
    if (life === undefined) return started;
    if (isCutShort) life.disk.operationsLeft = randomInt(this.#random, OPERATIONS_MAX);
    await Promise.race([started, life.died]);
    life.disk.operationsLeft = Number.POSITIVE_INFINITY;
  }

  async #comesToLead(survivor: SimManager): Promise<boolean> {
    const { time, truth } = this.#group;
    for (let ms = 0; ms < LEADS_WITHIN_MS && !survivor.leading; ms += LOOK_EVERY_MS)
      await time.sleep(LOOK_EVERY_MS);
    if (!survivor.leading) truth.violate(`alone: ${survivor.name} does not come to lead`);
    return survivor.leading;
  }

  /** Its state is what its own log makes of it, to the last entry, which nobody need have known to be committed. */
  #check({ name, life }: SimManager, { lastIndex }: Survival): void {
    if (life === undefined) return;
    const { truth } = this.#group;
    const { machine } = life;
    const again = new StoreMachine();
    again.apply(truth.history().filter(({ index }) => index <= machine.version));
    if (machine.version < lastIndex || again.hash() !== machine.hash())
      truth.violate(`alone: ${name} has another state than its log makes, up to entry ${lastIndex}`);
    this.#begins(machine.view());
  }
}
