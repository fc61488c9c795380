import test from 'ava';
import { LoneDaemon, ofThisProcess } from '#test/support/lone-daemon.ts';
import { waitFor } from '#test/support/wait-for.ts';
import { Containers } from '../../../bench/engines/containers.ts';
import { imageRoot, importImage } from '../../../bench/engines/image.ts';

/** The whole of it is `SHOAL_TEST_MANY=100x10`: so many at once, so many times over. */
const [AT_ONCE, TIMES] = (process.env['SHOAL_TEST_MANY'] ?? '30x3').split('x').map(Number) as [
  number,
  number,
];
const MS_MAX = 100_000 * TIMES + 300_000;

test('many containers at once, again and again, leave nothing behind', async (t) => {
  t.timeout(MS_MAX);
  const signal = AbortSignal.timeout(MS_MAX);
  const daemon = new LoneDaemon(ofThisProcess('mc'));
  try {
    await daemon.up(signal);
    await importImage(daemon.client, await imageRoot());
    const containers = new Containers(daemon.socket, signal);
    await containers.startOne();
    await containers.removeAll();
    const before = await settled(daemon);
    for (let time = 0; time < TIMES; time++) {
      t.is(new Set(await containers.start(AT_ONCE)).size, AT_ONCE);
      await containers.removeAll();
      await waitFor('nothing of them is left', async () => {
        return (await daemon.footprint()).join('\n') === before;
      }).catch(async () => t.is((await daemon.footprint()).join('\n'), before));
    }
  } finally {
    await daemon.down();
  }
});

/** What it occupies once the kernel has let go of the last link. */
async function settled(daemon: LoneDaemon): Promise<string> {
  let last = '';
  return await waitFor('a daemon at rest', async () => {
    const now = (await daemon.footprint()).join('\n');
    const same = now === last;
    last = now;
    return same && now;
  });
}
