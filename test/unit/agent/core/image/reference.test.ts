import test from 'ava';
import fc from 'fast-check';
import {
  familiarName,
  fullName,
  parseReference,
  type Reference,
  tryParseReference,
  withDefaultTag,
} from '#agent/core/image/reference.ts';
import { ShoalError } from '#proto/base/errors.ts';

const HEX = 'ab'.repeat(32);

const GOOD: readonly [typed: string, full: string, familiar: string][] = [
  ['busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['busybox:1.36', 'docker.io/library/busybox:1.36', 'busybox:1.36'],
  ['me/app', 'docker.io/me/app:latest', 'me/app:latest'],
  ['docker.io/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['index.docker.io/library/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['library/me/app', 'docker.io/library/me/app:latest', 'library/me/app:latest'],
  ['localhost/app', 'localhost/app:latest', 'localhost/app:latest'],
  ['localhost:5000/app:v1', 'localhost:5000/app:v1', 'localhost:5000/app:v1'],
  ['127.0.0.1:5000/a/b/c', '127.0.0.1:5000/a/b/c:latest', '127.0.0.1:5000/a/b/c:latest'],
  ['[::1]:5000/app', '[::1]:5000/app:latest', '[::1]:5000/app:latest'],
  ['Host/app', 'Host/app:latest', 'Host/app:latest'],
  [`busybox@sha256:${HEX}`, `docker.io/library/busybox@sha256:${HEX}`, `busybox@sha256:${HEX}`],
  [
    `r.example/a_b__c-d.e:t@sha256:${HEX}`,
    `r.example/a_b__c-d.e:t@sha256:${HEX}`,
    `r.example/a_b__c-d.e:t@sha256:${HEX}`,
  ],
];

test('references: what people leave out is filled in, and left out again when shown', (t) => {
  for (const [typed, full, familiar] of GOOD) {
    const reference = withDefaultTag(parseReference(typed));
    t.is(fullName(reference), full, typed);
    t.is(familiarName(reference), familiar, typed);
  }
});

const BAD: readonly [typed: string, message: RegExp][] = [
  ['', /^invalid reference format$/],
  [':tag', /^invalid reference format$/],
  ['a//b', /^invalid reference format$/],
  ['a/', /^invalid reference format$/],
  ['-a', /^invalid reference format$/],
  ['a___b', /^invalid reference format$/],
  ['a b', /^invalid reference format$/],
  ['a:b:c/d', /^invalid reference format$/],
  ['busybox:', /^invalid reference format$/],
  [`busybox:${'t'.repeat(129)}`, /^invalid reference format$/],
  ['busybox@sha256:12', /^invalid reference format$/],
  [`busybox@md4:${HEX}`, /^invalid reference format$/],
  ['host:port/app', /^invalid reference format$/],
  ['Uppercase', /^invalid reference format: repository name \(library\/Uppercase\) must be lowercase$/],
  [HEX, /cannot specify 64-byte hexadecimal strings$/],
  [`${'a/'.repeat(200)}a`, /^repository name must not be more than 255 characters$/],
];

test('references: what is none is refused with the words Docker has for it', (t) => {
  for (const [typed, message] of BAD) {
    const error = t.throws(() => parseReference(typed), { instanceOf: ShoalError, message }, typed);
    t.is(error?.code, 'INVALID_ARGUMENT');
  }
});

const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const path = fc.array(word, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const domain = fc.constantFrom('docker.io', 'localhost', 'localhost:5000', 'r.example', '10.0.0.1:80');
const reference: fc.Arbitrary<Reference> = fc
  .record({
    domain,
    path,
    tag: fc.option(fc.stringMatching(/^\w[\w.-]{0,20}$/), { nil: undefined }),
    digest: fc.option(fc.constant(`sha256:${HEX}`), { nil: undefined }),
  })
  .map(({ domain, path, tag, digest }) => ({
    domain,
    path: domain === 'docker.io' && !path.includes('/') ? `library/${path}` : path,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  }));

test('references: each survives being written in full and in short', (t) => {
  fc.assert(
    fc.property(reference, (wanted) => {
      t.deepEqual(parseReference(fullName(wanted)), wanted);
      t.deepEqual(parseReference(familiarName(wanted)), wanted);
    }),
  );
});

test('references: no text makes the parser fail in another way, or go on where it says invalid', (t) => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[a-zA-Z0-9:/@._[\]-]{0,80}$/));
  fc.assert(
    fc.property(text, (typed) => {
      const parsed = tryParseReference(typed);
      if (parsed) t.deepEqual(tryParseReference(fullName(parsed)), parsed);
      else t.throws(() => parseReference(typed), { instanceOf: ShoalError });
    }),
    { numRuns: 2000 },
  );
});
