import { randomInt } from '#proto/base/random.ts';
import { Group, type Manager } from './group.ts';

const NAMES = ['m1', 'm2', 'm3'];
const STEPS = 60;
/** The last word of every history. */
export const END = 'end';

/** A proposal, and what its proposer was told. */
export interface Outcome {
  readonly text: string;
  state: 'open' | 'made' | 'not-made';
}

/** One random history of a group of three, and what must hold of it. Throws, naming the seed, when it does not. */
export async function randomHistory(seed: number): Promise<void> {
  const group = await Group.of(3, {
    seed,
    limits: { snapshotEveryEntries: 25, logEntriesForSlowFollowers: 5, segmentBytes: 32 * 1024 },
  });
  const outcomes: Outcome[] = [];
  try {
    for (let step = 0; step < STEPS; step += 1) await randomStep(group, outcomes, step);
    await recover(group);
    await group.write(END);
    await check(group, outcomes);
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  } finally {
    await group.close();
  }
}

async function randomStep(group: Group, outcomes: Outcome[], step: number): Promise<void> {
  const { random } = group;
  const name = NAMES[randomInt(random, NAMES.length)] as string;
  const dice = random.next();
  if (dice < 0.5) proposeSome(group, outcomes, step);
  else if (dice < 0.9) await disturb(group, name);
  else calm(group);
  await group.clock.advance(randomInt(random, 150));
}

/** Something goes wrong with one manager; or one that is away comes back. */
async function disturb(group: Group, name: string): Promise<void> {
  const { random, network } = group;
  const manager = group.manager(name);
  if (manager.consensus === undefined) return group.restart(name);
  const what = randomInt(random, 7);
  if (what === 0) group.kill(name);
  else if (what === 1) group.kill(name, true);
  else if (what === 2) network.cutOff(`node-${name}`);
  else if (what === 3) manager.disk.roomBytes = 0;
  else if (what === 4) network.snapshotPiecesMax = randomInt(random, 3);
  else if (what === 5) manager.consensus.transferLeadership().catch(() => undefined);
  else await group.stop(name);
}

/** Nothing that runs is hindered any more. */
function calm(group: Group): void {
  group.network.snapshotPiecesMax = Number.POSITIVE_INFINITY;
  for (const name of NAMES) {
    group.network.heal(`node-${name}`);
    group.manager(name).disk.roomBytes = Number.POSITIVE_INFINITY;
  }
}

/** Whoever believes to lead proposes a few words. */
export function proposeSome(group: Group, outcomes: Outcome[], step: number): void {
  for (const { name, consensus } of group.running) {
    if (consensus === undefined || !consensus.leadership().leading) continue;
    const count = 1 + randomInt(group.random, 5);
    for (let at = 0; at < count; at += 1) {
      const outcome: Outcome = { text: `${step}-${name}-${at}`, state: 'open' };
      outcomes.push(outcome);
      consensus.propose(Buffer.from(outcome.text)).then(
        () => {
          outcome.state = 'made';
        },
        (error: { code?: string }) => {
          if (error.code === 'UNAVAILABLE') outcome.state = 'not-made';
        },
      );
    }
  }
}

async function recover(group: Group): Promise<void> {
  calm(group);
  for (const name of NAMES) if (group.manager(name).consensus === undefined) await group.restart(name);
}

async function check(group: Group, outcomes: readonly Outcome[]): Promise<void> {
  for (const { name, journal } of group.running)
    await group.until(() => journal.lines.includes(END), `${name} has all`);
  checkAgreement(group.running, outcomes);
}

/** These managers applied the same, each word once, and it is what proposers were told. */
export function checkAgreement(managers: readonly Manager[], outcomes: readonly Outcome[]): void {
  const [first = [], ...others] = managers.map((manager) => manager.journal.lines);
  for (const lines of others)
    if (lines.join() !== first.join()) throw new Error('managers differ in what they applied');
  const applied = new Set(first);
  for (const { text, state } of outcomes) {
    if (first.indexOf(text) !== first.lastIndexOf(text)) throw new Error(`${text} was applied twice`);
    if (state === 'made' && !applied.has(text)) throw new Error(`${text} was acknowledged and is gone`);
    if (state === 'not-made' && applied.has(text)) throw new Error(`${text} was refused and is there`);
  }
}
