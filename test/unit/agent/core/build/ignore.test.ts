import test from 'ava';
import fc from 'fast-check';
import { IgnorePatterns } from '#agent/core/build/ignore.ts';
import { ShoalError } from '#proto/base/errors.ts';

const CASES: readonly [patterns: string, path: string, ignored: boolean][] = [
  ['*.md', 'README.md', true],
  ['*.md', 'docs/README.md', false],
  ['**/*.md', 'README.md', true],
  ['**/*.md', 'a/b/README.md', true],
  ['docs', 'docs/a/b', true],
  ['/docs/', 'docs/a', true],
  ['docs', 'other/docs', false],
  ['**/docs', 'other/docs/x', true],
  ['a/**', 'a/b/c', true],
  ['a/**', 'a', false],
  ['a/**/z', 'a/z', true],
  ['a/**/z', 'a/b/c/z', true],
  ['**', 'anything/at/all', true],
  ['?.txt', 'a.txt', true],
  ['?.txt', 'ab.txt', false],
  ['[a-c].txt', 'b.txt', true],
  ['[^a-c].txt', 'b.txt', false],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'axb', false],
  ['a.b', 'axb', false],
  ['a+(b)|c$', 'a+(b)|c$', true],
  ['# a comment\n\n  spaced  ', 'spaced', true],
  ['*\n!keep', 'keep', false],
  ['*\n!keep', 'keep/in', false],
  ['*\n!keep\nkeep/not', 'keep/not', true],
  ['*.md\n!README*.md\nREADME-secret.md', 'README-secret.md', true],
  ['./a/../b', 'b', true],
  ['.', 'a', false],
  ['\ufeffa', 'a', true],
];

test('dockerignore: patterns match as Docker’s do, and the last that matches decides', (t) => {
  for (const [patterns, path, ignored] of CASES) {
    t.is(new IgnorePatterns(patterns).matches(path), ignored, `${JSON.stringify(patterns)} on ${path}`);
  }
});

test('dockerignore: malformed patterns are refused with the line', (t) => {
  for (const line of ['[a', 'a\\', '[]', '!']) {
    t.throws(() => new IgnorePatterns(line), { instanceOf: ShoalError, message: /pattern/ }, line);
  }
});

test('dockerignore: a plain path matches itself and what is in it, and anything else ends well or is refused', (t) => {
  const path = fc.array(
    fc.stringMatching(/^[a-z0-9 ()+.$|-]{1,6}$/).filter((part) => !/^[.]+$|^ | $|^#/.test(part)),
    { minLength: 1, maxLength: 3 },
  );
  fc.assert(
    fc.property(path, (parts) => {
      const patterns = new IgnorePatterns(parts.join('/'));
      t.true(patterns.matches(parts.join('/')));
      t.true(patterns.matches([...parts, 'in'].join('/')));
      t.false(patterns.matches(`${parts.join('/')}x`));
    }),
  );
  fc.assert(
    fc.property(fc.string(), fc.string(), (line, name) => {
      try {
        new IgnorePatterns(line).matches(name);
      } catch (error) {
        t.true(error instanceof ShoalError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
