import test from 'ava';
import { gatewayLink, instanceNames, outerLink } from '#agent/net/plan/names.ts';

test('the default instance has the plain names', (t) => {
  t.deepEqual(instanceNames(''), {
    table: 'shoal',
    meshDevice: 'shoal-mesh',
    defaultBridge: 'shoal0',
    insideGroup: 77,
    meshGroup: 78,
    leavingGroup: 79,
    markBase: 0x5a000000,
    rulePriority: 9000,
  });
});

test('instances differ in every name, and devices fit the kernel’s 15 characters', (t) => {
  const all = ['', 'blue', 'green', 'a-name-that-is-rather-long', 'UPPER'].map(instanceNames);
  for (const key of Object.keys(all[0] as object) as (keyof (typeof all)[0])[])
    t.is(new Set(all.map((names) => names[key])).size, all.length, key);
  for (const names of all)
    for (const device of [names.meshDevice, names.defaultBridge]) t.true(device.length <= 15, device);
  const id = 'f'.repeat(64);
  for (const device of [gatewayLink(id), outerLink(id, 99)]) t.true(device.length <= 15, device);
});
