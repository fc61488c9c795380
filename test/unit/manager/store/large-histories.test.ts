import test, { type ExecutionContext } from 'ava';
import { StoreMachine } from '#manager/store/machine.ts';
import { randomInt, seededRandom } from '#proto/base/random.ts';
import { committedWhole, kindsIn } from './large-model.ts';
import { LargeWorld } from './large-world.ts';

/** SHOAL_TEST_SEED=n tells one of them. */
const ONLY = process.env['SHOAL_TEST_SEED'];
const SEEDS = ONLY === undefined ? Array.from({ length: 150 }, (_, i) => i + 1) : [Number(ONLY)];
const STEPS = 120;

async function history(seed: number): Promise<LargeWorld> {
  const random = seededRandom(seed);
  const world = new LargeWorld(random);
  for (let step = 0; step < STEPS; step += 1) {
    const dice = randomInt(random, 100);
    if (dice < 14) world.submit(1 + randomInt(random, 3));
    else if (dice < 26) world.submit(8 + randomInt(random, 20));
    else if (dice < 50) world.commit(1 + randomInt(random, 4));
    else if (dice < 80) world.apply(1 + randomInt(random, 6));
    else if (dice < 84) world.dropNext(1 + randomInt(random, 2));
    else if (dice < 89) world.changeLeader();
    else if (dice < 93) await world.sendSnapshot();
    else if (dice < 96) await world.restart();
    else await world.wait();
    await world.settled();
  }
  await world.finish();
  return world;
}

/** What its writers were told is what every member has. */
function checkOutcomes(t: ExecutionContext, world: LargeWorld, seed: number): void {
  const nodes = [...world.state().view().nodes.all()];
  for (const { name, changes, outcome } of world.writes) {
    const made = nodes.filter(({ id }) => id.startsWith(`${name}-`));
    const about = `seed ${seed}: ${name} (${changes} changes) ended with ${outcome}`;
    const versions = [...new Set(made.map(({ version }) => version))];
    if (typeof outcome === 'number') t.deepEqual([made.length, versions], [changes, [outcome]], about);
    else if (outcome === 'DEADLINE_EXCEEDED') t.true([0, changes].includes(made.length), about);
    else t.is(made.length, 0, about);
    t.true(versions.length <= 1, about);
  }
}

test('large: in any history every member has one state, the log’s, and each writer was told the truth', async (t) => {
  const seen = new Map<string, number>();
  const count = (what: string): void => void seen.set(what, (seen.get(what) ?? 0) + 1);
  for (const seed of SEEDS) {
    const world = await history(seed);
    t.is(new Set(world.hashes()).size, 1, `seed ${seed}: every member has the same state`);
    const model = new StoreMachine();
    model.apply(committedWhole(world.log));
    t.is(
      world.state().hash(),
      model.hash(),
      `seed ${seed}: it is that of the transactions that are whole in the log`,
    );
    checkOutcomes(t, world, seed);
    for (const kind of kindsIn(world.log)) count(kind);
    for (const { changes, outcome } of world.writes)
      count(`${changes > 3 ? 'large' : 'small'} ${typeof outcome === 'number' ? 'made' : outcome}`);
  }
  if (ONLY !== undefined) return;
  const needed = ['whole', 'never whole', 'given up', 'something between parts'];
  for (const kind of ['made', 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'OUT_OF_SEQUENCE'])
    needed.push(`large ${kind}`);
  for (const kind of needed)
    t.true((seen.get(kind) ?? 0) >= 10, `the histories have ${seen.get(kind) ?? 0} of: ${kind}`);
});
