import test from 'ava';
import { found } from '#deploy/node/founding.ts';
import { type InitRequest, initRequest } from '#manager/api/convert/swarm-requests.ts';
import { systemClock } from '#proto/base/clock.ts';
import { seededRandom } from '#proto/base/random.ts';

const modules = { clock: systemClock, random: seededRandom(1) };

function asked(more: object): InitRequest {
  return initRequest({ ListenAddr: '0.0.0.0:2377', AdvertiseAddr: '10.0.0.1', ...more });
}

test('a swarm begins with what was asked for beside the defaults', async (t) => {
  const { changes } = await found(
    asked({ Spec: { Orchestration: { TaskHistoryRetentionLimit: 2 } } }),
    modules,
  );
  const cluster = changes.find((change) => change.kind === 'putCluster')?.cluster;
  t.is(cluster?.spec.taskHistoryPerSlot, 2);
  t.is(cluster?.spec.name, 'default');
});

test('a swarm that locks its managers begins with a key, any other with none', async (t) => {
  const keyOf = async (body: object): Promise<string | undefined> => {
    const { changes } = await found(asked(body), modules);
    return changes.find((change) => change.kind === 'putCluster')?.cluster.unlockKey;
  };
  t.is(Buffer.from((await keyOf({ AutoLockManagers: true })) ?? '', 'base64').length, 32);
  t.is(await keyOf({}), undefined);
});

test('a swarm is not made with settings that could not be updated to', async (t) => {
  const spec = { CAConfig: { NodeCertExpiry: 1_000_000_000 } };
  await t.throwsAsync(found(asked({ Spec: spec }), modules), {
    message: 'minimum certificate expiry time is: 1h0m0s',
  });
});
