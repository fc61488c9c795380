import { randomInt } from '#proto/base/random.ts';
import { Group } from './group.ts';

const NAMES = ['m1', 'm2', 'm3'];
const STEPS = 60;

interface Outcome {
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
    await group.write('end');
    await check(group, outcomes);
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  } finally {
    await group.close();
  }
}

async function randomStep(group: Group, outcomes: Outcome[], step: number): Promise<void> {
  const { random, network } = group;
  const name = NAMES[randomInt(random, NAMES.length)] as string;
  const isDown = group.manager(name).consensus === undefined;
  const dice = random.next();
  if (dice < 0.55) proposeSome(group, outcomes, step);
  else if (dice < 0.65) isDown ? await group.restart(name) : group.kill(name, random.next() < 0.5);
  else if (dice < 0.75) network.cutOff(`node-${name}`);
  else if (dice < 0.9) for (const other of NAMES) network.heal(`node-${other}`);
  else if (isDown) await group.restart(name);
  await group.clock.advance(randomInt(random, 150));
}

function proposeSome(group: Group, outcomes: Outcome[], step: number): void {
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
  for (const name of NAMES) {
    group.network.heal(`node-${name}`);
    if (group.manager(name).consensus === undefined) await group.restart(name);
  }
}

async function check(group: Group, outcomes: readonly Outcome[]): Promise<void> {
  for (const { name, journal } of group.running)
    await group.until(() => journal.lines.includes('end'), `${name} has all`);
  const [first, ...others] = group.running.map((manager) => manager.journal.lines) as [
    string[],
    ...string[][],
  ];
  for (const lines of others)
    if (lines.join() !== first.join()) throw new Error('managers differ in what they applied');
  const applied = new Set(first);
  if (applied.size !== first.length) throw new Error('an entry was applied twice');
  for (const { text, state } of outcomes) {
    if (state === 'made' && !applied.has(text)) throw new Error(`${text} was acknowledged and is gone`);
    if (state === 'not-made' && applied.has(text)) throw new Error(`${text} was refused and is there`);
  }
}
