import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { DockerfileError, type DockerfileNode, parseDockerfile } from '#agent/core/build/language/parser.ts';

const DATA = join(import.meta.dirname, '../../../../../data/buildkit/parser');

function read(...path: readonly string[]): string {
  return readFileSync(join(DATA, ...path), 'utf8');
}

/** The form that the data's results are written in. */
function dump(node: DockerfileNode): string {
  const flags = node.flags.length === 0 ? '' : ` [${node.flags.map(quoted).join(' ')}]`;
  const args = node.args.map((arg) => ` ${quoted(arg)}`).join('');
  const child = node.child ? ` ${dump(node.child)}` : '';
  return `(${node.name.toLowerCase()}${flags}${args}${child})`;
}

/** A string as Go quotes it. */
function quoted(text: string): string {
  const short: Readonly<Record<string, string>> = {
    '\n': '\\n',
    '\t': '\\t',
    '\r': '\\r',
    '\b': '\\b',
    '\f': '\\f',
  };
  const inner = text.replace(/["\\]|\p{Cc}/gu, (char) => {
    if (char === '"' || char === '\\') return `\\${char}`;
    return short[char] ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return `"${inner}"`;
}

for (const name of readdirSync(join(DATA, 'testfiles'))) {
  test(`dockerfile: ${name} is split as BuildKit splits it`, (t) => {
    const { nodes } = parseDockerfile(read('testfiles', name, 'Dockerfile'));
    t.is(`${nodes.map(dump).join('\n')}\n`, read('testfiles', name, 'result'));
  });
}

for (const name of readdirSync(join(DATA, 'testfiles-negative'))) {
  test(`dockerfile: ${name} is refused`, (t) => {
    t.throws(() => parseDockerfile(read('testfiles-negative', name, 'Dockerfile')), {
      instanceOf: DockerfileError,
    });
  });
}

test('dockerfile: instructions know their lines', (t) => {
  const { nodes } = parseDockerfile(read('testfile-line', 'Dockerfile'));
  t.deepEqual(
    nodes.map(({ startLine, endLine }) => [startLine, endLine]),
    [
      [5, 5],
      [11, 12],
      [17, 31],
    ],
  );
});

function only(text: string): DockerfileNode {
  const { nodes } = parseDockerfile(text);
  return nodes[0] as DockerfileNode;
}

test('dockerfile: heredocs are taken up to their name, with and without leading tabs', (t) => {
  const { heredocs, original } = only(
    'RUN <<EOF cat <<-"OTHER"\necho $a\nEOF\n\tin\n\t OTHER\n\tOTHER\nCMD x',
  );
  t.is(original, 'RUN <<EOF cat <<-"OTHER"');
  t.deepEqual(heredocs, [
    { name: 'EOF', chomp: false, expand: true, content: 'echo $a\n' },
    { name: 'OTHER', chomp: true, expand: false, content: '\tin\n\t OTHER\n' },
  ]);
  t.is(parseDockerfile('COPY <<a /x\n#no comment\na\nCMD x').nodes.length, 2);
});

test('dockerfile: what only looks like a heredoc is none', (t) => {
  for (const line of [
    'RUN cat <<<word',
    'RUN echo "<<EOF"',
    'RUN [ 1 << 2 ]',
    'CMD <<EOF',
    'RUN <<"a b" x',
  ]) {
    t.deepEqual(only(`${line}\n`).heredocs, [], line);
  }
});

test('dockerfile: directives count at the top alone, each once', (t) => {
  t.is(parseDockerfile('# escape=`\nRUN a `\n b').nodes[0]?.original, 'RUN a  b');
  t.is(parseDockerfile('# a comment\n# escape=`\nRUN a `').escape, '\\');
  t.is(parseDockerfile('\n# escape=`\nRUN a').escape, '\\');
  t.throws(() => parseDockerfile('# escape=`\n# escape=`\nRUN a'), {
    message: 'only one escape parser directive can be used',
  });
  t.throws(() => parseDockerfile('# escape=x\nRUN a'), {
    message: "invalid escape token 'x' does not match ` or \\",
  });
});

test('dockerfile: comments and empty lines within an instruction are left out, empty ones with a warning', (t) => {
  const { nodes, warnings } = parseDockerfile('RUN a \\\n# no\n  # no\n b \\\n\n c\n');
  t.is(nodes[0]?.original, 'RUN a  b  c');
  t.deepEqual(warnings, ['[WARNING]: Empty continuation line found in:\n    RUN a  b  c']);
});

const ERRORS: readonly [text: string, message: RegExp, line: number][] = [
  ['', /^file with no instructions$/, 0],
  ['FROM x\n\nENV a', /^ENV must have two arguments$/, 3],
  ['FROM x\nLABEL a=b c', /^Syntax error - can't find = in "c"\. Must be of the form: name=value$/, 2],
  ['FROM x\nCMD [1]', /arrays must be comprised of strings only$/, 2],
  ['FROM x\nRUN <<EOF\na\n', /^unterminated heredoc$/, 2],
];

for (const [text, message, line] of ERRORS) {
  test(`dockerfile: ${JSON.stringify(text)} is refused, with the line`, (t) => {
    const error = t.throws(() => parseDockerfile(text), { instanceOf: DockerfileError, message });
    t.is((error as DockerfileError | undefined)?.line, line);
  });
}

test('dockerfile: no text makes the parser fail in another way than it says, and every instruction has its lines', (t) => {
  const piece = fc.oneof(
    fc.constantFrom(
      'FROM ',
      'RUN ',
      'ENV ',
      'COPY ',
      'ONBUILD ',
      'HEALTHCHECK ',
      '--x=',
      '["',
      '"]',
      '\\\n',
      '\n',
      '<<EOF',
      'EOF\n',
      '# escape=`\n',
      '`\n',
      '$',
      '{',
      '}',
      "'",
    ),
    fc.string({ maxLength: 6 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
      const text = pieces.join('');
      try {
        const { nodes } = parseDockerfile(text);
        const lines = text.split('\n').length;
        for (const { startLine, endLine, original } of nodes) {
          t.true(original !== '' && startLine >= 1 && startLine <= endLine && endLine <= lines);
        }
      } catch (error) {
        t.true(error instanceof DockerfileError, String(error));
      }
    }),
    { numRuns: 3000 },
  );
  t.pass();
});
