import test from 'ava';
import { endpointOn, settledEndpoints } from '#agent/core/endpoints.ts';
import type { NetworkRecord } from '#agent/core/network-record.ts';
import { ShoalError } from '#proto/base/errors.ts';

function networks(...known: { id: string; name: string }[]) {
  return {
    find(idOrName: string): NetworkRecord {
      const found = known.find(({ id, name }) => id === idOrName || name === idOrName);
      if (found) return found as NetworkRecord;
      throw new ShoalError('NOT_FOUND', `network ${idOrName} not found`);
    },
  };
}

test('endpoints: a network goes by its name, also where a container asked for it by id', (t) => {
  const there = networks({ id: 'id1', name: 'net' });
  t.deepEqual(endpointOn('id1', null, there), ['net', { networkId: 'id1', config: null }]);
});

test('endpoints: a container can be made before its network, and started after it', (t) => {
  const config = { Aliases: ['a'] };
  const endpoints = Object.fromEntries([endpointOn('later', config, networks())]);
  t.throws(() => settledEndpoints(endpoints, networks()), { message: 'network later not found' });
  const come = networks({ id: 'id2', name: 'later' });
  t.deepEqual(settledEndpoints(endpoints, come), { later: { networkId: 'id2', config } });
});

test('endpoints: a network that was made anew under its name is the one that a container starts on', (t) => {
  const endpoints = { net: { networkId: 'old', config: null } };
  const anew = networks({ id: 'new', name: 'net' });
  t.deepEqual(settledEndpoints(endpoints, anew), { net: { networkId: 'new', config: null } });
});

test('endpoints: a failure that is no absence stays one', (t) => {
  const ambiguous = {
    find: (): NetworkRecord => {
      throw new ShoalError('INVALID_ARGUMENT', 'network a is ambiguous (2 matches found on name)');
    },
  };
  t.throws(() => endpointOn('a', null, ambiguous), { message: /ambiguous/ });
});
