import test from 'ava';
import fc from 'fast-check';
import { chainIds, isDigest, sha256Of } from '#agent/core/image/digest.ts';
import { manifestTypeOf, parseImageConfig, parseIndex, parseManifest } from '#agent/core/image/oci.ts';
import { matchesPattern } from '#agent/core/image/pattern.ts';
import { choosePlatform, formatPlatform, parsePlatform, samePlatform } from '#agent/core/image/platform.ts';
import { ShoalError } from '#proto/base/errors.ts';

const DIGEST = `sha256:${'ab'.repeat(32)}`;

test('platforms: spellings of the same are the same', (t) => {
  t.is(formatPlatform(parsePlatform('linux/x86_64')), 'linux/amd64');
  t.is(formatPlatform(parsePlatform('aarch64')), 'linux/arm64');
  t.is(formatPlatform(parsePlatform('linux/arm')), 'linux/arm/v7');
  t.true(samePlatform(parsePlatform('linux/arm64/v8'), parsePlatform('linux/arm64')));
  t.false(samePlatform(parsePlatform('linux/arm/v6'), parsePlatform('linux/arm/v7')));
  for (const text of ['', 'a/b/c/d', 'linux/', 'li nux/amd64']) {
    t.throws(() => parsePlatform(text), { instanceOf: ShoalError, message: /invalid component/ }, text);
  }
});

test('platforms: the own one is chosen, else an older variant, never another', (t) => {
  const entry = (platform?: string): { mediaType: string; digest: string; size: number } => ({
    mediaType: 'm',
    digest: sha256Of(platform ?? 'none'),
    size: 1,
    ...(platform !== undefined && { platform: parsePlatform(platform) }),
  });
  const [amd64, v6, v7, none] = [entry('linux/amd64'), entry('linux/arm/v6'), entry('linux/arm/v7'), entry()];
  t.is(choosePlatform([v6, amd64, v7], parsePlatform('linux/amd64')), amd64);
  t.is(choosePlatform([amd64, v6], parsePlatform('linux/arm/v7')), v6);
  t.is(choosePlatform([v6, v7], parsePlatform('linux/arm/v7')), v7);
  t.is(choosePlatform([v7], parsePlatform('linux/arm/v6')), undefined);
  t.is(choosePlatform([amd64, none], parsePlatform('linux/arm64')), undefined);
  t.is(choosePlatform([none], parsePlatform('linux/arm64')), none, 'there is nothing to choose');
});

test('digests: only whole ones of known algorithms count', (t) => {
  t.true(isDigest(DIGEST));
  t.true(isDigest(`sha512:${'0'.repeat(128)}`));
  for (const text of [
    '',
    'sha256:',
    'sha256:ab',
    `SHA256:${'a'.repeat(64)}`,
    `${DIGEST}:x`,
    `sha256:${'A'.repeat(64)}`,
  ]) {
    t.false(isDigest(text), text);
  }
  t.deepEqual(chainIds([DIGEST]), [DIGEST]);
  t.is(chainIds([DIGEST, DIGEST])[1], sha256Of(`${DIGEST} ${DIGEST}`));
});

const descriptor = { mediaType: 'm', digest: DIGEST, size: 1 };
const bytes = (document: unknown): Buffer => Buffer.from(JSON.stringify(document));

test('documents: what is missing or wrong in them is said', (t) => {
  const wrong: readonly [() => unknown, RegExp][] = [
    [() => parseManifest(Buffer.from('{')), /^manifest is not valid JSON$/],
    [() => parseManifest(bytes([])), /^manifest is not a JSON object$/],
    [() => parseManifest(bytes({ schemaVersion: 1 })), /schema version 1 are not supported/],
    [() => parseManifest(bytes({ schemaVersion: 2 })), /^manifest: config is missing$/],
    [
      () => parseManifest(bytes({ schemaVersion: 2, config: descriptor, layers: {} })),
      /layers must be a list/,
    ],
    [
      () =>
        parseManifest(bytes({ schemaVersion: 2, config: { ...descriptor, digest: '../../x' }, layers: [] })),
      /config has no valid digest/,
    ],
    [
      () => parseManifest(bytes({ schemaVersion: 2, config: { ...descriptor, size: -1 }, layers: [] })),
      /config has no valid size/,
    ],
    [() => parseIndex(bytes({ manifests: [null] })), /manifests\[0\] is missing/],
    [() => parseImageConfig(bytes({ rootfs: { diff_ids: ['x'] } })), /diff_ids must be a list of digests/],
    [() => parseImageConfig(bytes({ rootfs: { diff_ids: [] } })), /architecture and os are missing/],
  ];
  for (const [parse, message] of wrong) t.throws(parse, { instanceOf: ShoalError, message });
});

test('documents: a manifest is known by its carrier, by itself, or by its shape', (t) => {
  t.is(
    manifestTypeOf(bytes({ manifests: [] }), 'application/vnd.x+json; charset=utf-8'),
    'application/vnd.x+json',
  );
  t.is(manifestTypeOf(bytes({ mediaType: 'mine' }), 'application/json'), 'mine');
  t.regex(manifestTypeOf(bytes({ manifests: [] }), undefined), /image\.index/);
  t.regex(manifestTypeOf(bytes({ layers: [] }), undefined), /image\.manifest/);
});

test('documents: no JSON makes a parser fail in another way than it says', (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      for (const parse of [parseManifest, parseIndex, parseImageConfig]) {
        try {
          parse(bytes(value));
        } catch (error) {
          t.true(error instanceof ShoalError, String(error));
        }
      }
    }),
  );
  t.pass();
});

test('patterns: match as path.Match does', (t) => {
  t.true(matchesPattern('a*', 'abc'));
  t.false(matchesPattern('a*', 'a/b'));
  t.true(matchesPattern('me/*:1.?', 'me/app:1.2'));
  t.true(matchesPattern('[a-c]x', 'bx'));
  t.true(matchesPattern('[^a]x', 'bx'));
  t.true(matchesPattern('a\\*', 'a*'));
  t.false(matchesPattern('[a', '[a'), 'malformed ones match nothing');
  fc.assert(
    fc.property(
      fc.string(),
      fc.string(),
      (pattern, text) => typeof matchesPattern(pattern, text) === 'boolean',
    ),
  );
});
