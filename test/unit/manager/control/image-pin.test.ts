import test from 'ava';
import { type ImageResolver, pinImage } from '#manager/control/image-pin.ts';
import { nullLog } from '#proto/base/log.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const DIGEST = `sha256:${'1'.repeat(64)}`;
const TASK = { container: { image: 'app:1' } };

function modules(resolve: ImageResolver['resolve']) {
  return { images: { resolve }, clock: new VirtualClock(), log: nullLog };
}

test('platforms that a spec names stay; unknown ones are passed over', async (t) => {
  const found = {
    digest: DIGEST,
    platforms: [
      { architecture: 'arm64', os: 'linux' },
      { architecture: '', os: '' },
    ],
  };
  const given = { ...TASK, placement: { platforms: [{ os: 'plan9' }], constraints: ['node.role==worker'] } };
  const kept = await pinImage(
    given,
    modules(async () => found),
  );
  t.deepEqual(kept.task.placement, given.placement);
  const filled = await pinImage(
    { ...TASK, placement: { platforms: [] } },
    modules(async () => found),
  );
  t.deepEqual(filled.task.placement, { platforms: [{ architecture: 'arm64', os: 'linux' }] });
});

test('who does not answer is not waited for long: the image stays as it is', async (t) => {
  const given = modules(() => new Promise(() => undefined));
  const pinning = pinImage(TASK, given);
  await given.clock.advance(60_000);
  const { task, warnings } = await pinning;
  t.is(task, TASK);
  t.is(warnings.length, 1);
});

test('a client that goes away ends the search', async (t) => {
  const client = new AbortController();
  const heard: AbortSignal[] = [];
  const given = modules((_image, _auth, signal) => {
    heard.push(signal as AbortSignal);
    return new Promise(() => undefined);
  });
  const pinning = pinImage(TASK, given, client.signal);
  client.abort(new Error('gone'));
  await t.throwsAsync(pinning, { message: 'gone' });
  t.true(heard[0]?.aborted);
});
