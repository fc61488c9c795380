import test from 'ava';
import { assert } from '#proto/base/assert.ts';
import { messageOf } from '#proto/base/errors.ts';
import { randomInt, seededRandom } from '#proto/base/random.ts';
import type { ServiceId } from '#proto/types/ids.ts';
import { TaskState } from '#proto/types/states.ts';
import { World } from '../leader/world.ts';

/** SHOAL_SEED=n replays one run, SHOAL_SEEDS=n runs the first n. */
const { SHOAL_SEED, SHOAL_SEEDS = '40' } = process.env;
const SEEDS = SHOAL_SEED
  ? [Number(SHOAL_SEED)]
  : Array.from({ length: Number(SHOAL_SEEDS) }, (_, i) => i + 1);
const NODES = ['a', 'b', 'c', 'd'];

for (const seed of SEEDS) {
  test(`availability: updates and drains never leave fewer running than allowed (seed ${seed})`, (t) => {
    try {
      change(seed);
      t.pass();
    } catch (error) {
      t.fail(
        `replay with SHOAL_SEED=${seed}: ${messageOf(error)}\n${error instanceof Error ? error.stack : ''}`,
      );
    }
  });
}

/** A healthy service whose spec changes again and again, at any moment, while nodes are emptied and filled. */
function change(seed: number): void {
  const random = seededRandom(seed);
  const world = new World();
  for (const name of NODES) world.node(name);
  const replicas = 1 + randomInt(random, 8);
  const parallelism = 1 + randomInt(random, 3);
  const order = (['stop-first', 'start-first'] as const)[randomInt(random, 2)] ?? 'stop-first';
  const web = world.service('web', {
    mode: { kind: 'replicated', replicas },
    update: { parallelism, order },
  });
  world.settle();
  const allowed = order === 'start-first' ? replicas : replicas - parallelism;
  world.invariant = () => {
    const running = world.running(web).length;
    assert(running >= allowed, `${running} of ${replicas} run, ${allowed} must: ${describe(world, web)}`);
  };
  for (let event = 0; event < 80; event++) {
    const what = randomInt(random, 12);
    if (what === 0) world.image(web, `web:${randomInt(random, 3)}`);
    else if (what === 1) world.node(NODES[randomInt(random, 2)] as string, { availability: 'drain' });
    else if (what === 2) world.node(NODES[randomInt(random, 2)] as string, { availability: 'active' });
    else if (what < 5) world.nowMs += randomInt(random, 3_000);
    else if (what < 8) world.look();
    else world.agentsStep();
  }
  for (const name of NODES) world.node(name, { availability: 'active' });
  world.advance(3_600_000);
  assert(world.running(web).length === replicas, 'all run at the end');
  const image = world.get(web).spec.task.container.image;
  assert(
    world.running(web).every((task) => world.imageOf(task) === image),
    'all run what is wanted',
  );
}

function describe(world: World, web: ServiceId): string {
  const names = new Map(Object.entries(TaskState).map(([name, state]) => [state as number, name]));
  return world
    .tasks(web)
    .map(
      (task) =>
        `${task.slot}:${world.imageOf(task)}:${names.get(task.status.state)}/${names.get(task.desired)}`,
    )
    .join(' ');
}
