import test from 'ava';
import { joinToken, newJoinSecret, newJoinSecrets, roleOfToken, rotatedSecrets } from '#manager/ca/tokens.ts';
import type { ShoalError } from '#proto/base/errors.ts';
import { seededRandom, systemRandom } from '#proto/base/random.ts';

const cluster = {
  rootCa: { certificate: '', digest: 'd'.repeat(50) },
  joinSecrets: newJoinSecrets(seededRandom(1)),
};

test("token: it has Swarm's form and gives the role it was made for", (t) => {
  for (const role of ['worker', 'manager'] as const) {
    const token = joinToken(cluster, role);
    t.regex(token, /^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$/);
    t.is(roleOfToken(cluster, token), role);
  }
});

test("token: a wrong secret, another cluster's digest and garbage give no role", (t) => {
  const good = joinToken(cluster, 'worker');
  const bad = [
    `${good.slice(0, -1)}${good.endsWith('0') ? '1' : '0'}`,
    joinToken({ ...cluster, rootCa: { certificate: '', digest: 'e'.repeat(50) } }, 'worker'),
    'SWMTKN-1-a-b',
    '',
  ];
  for (const token of bad) {
    const error = t.throws<ShoalError>(() => roleOfToken(cluster, token));
    t.deepEqual(
      [error?.code, error?.message],
      ['UNAUTHENTICATED', 'A valid join token is necessary to join this cluster'],
    );
  }
});

test("token: rotating one role ends its old token and leaves the other's", (t) => {
  const rotated = { ...cluster, joinSecrets: rotatedSecrets(cluster, ['worker'], systemRandom) };
  t.throws(() => roleOfToken(rotated, joinToken(cluster, 'worker')));
  t.is(roleOfToken(rotated, joinToken(cluster, 'manager')), 'manager');
  t.is(roleOfToken(rotated, joinToken(rotated, 'worker')), 'worker');
});

test('token: secrets have 25 characters even when they begin with zeros, and no two are alike', (t) => {
  t.is(newJoinSecret({ bytes: (count) => new Uint8Array(count) }), '0'.repeat(25));
  const many = new Set(Array.from({ length: 100 }, () => newJoinSecret(systemRandom)));
  t.is(many.size, 100);
});
