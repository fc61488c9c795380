import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import test from 'ava';
import ts from 'typescript';

/*
 * The rules of the house as a test: who may import whom, which rooms are pure, how long a file and a function may be.
 * ARCHITECTURE.md gives the reasons.
 */

const REPO = normalize(join(import.meta.dirname, '..'));
const FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 60;

interface Room {
  /** Rooms and packages that may be imported from; `*` = any package. Node's own modules unless pure. */
  readonly sees: readonly string[];
  readonly packages: readonly string[];
  readonly pure?: true;
}

/** The longest prefix of a file's path decides. */
const ROOMS: Readonly<Record<string, Room>> = {
  'proto/base': { sees: ['proto/base'], packages: [] },
  'proto/gen': { sees: [], packages: [] },
  'proto/types': { sees: ['proto/types', 'proto/base'], packages: [], pure: true },
  'proto/convert': { sees: ['proto'], packages: [] },
  'proto/rpc': { sees: ['proto'], packages: ['@grpc/grpc-js', 'protobufjs/light.js'] },
  'proto/http': { sees: ['proto'], packages: [] },
  'proto/generate.ts': { sees: [], packages: ['protobufjs'] },
  scheduler: {
    sees: ['scheduler', 'proto/types', 'proto/base'],
    packages: ['ip-address'],
    pure: true,
  },
  'manager/raft/src': { sees: ['manager/raft/src'], packages: [], pure: true },
  'manager/raft/testing': { sees: ['manager/raft/src', 'manager/raft/testing'], packages: [] },
  'manager/raft/test': {
    sees: ['manager/raft', 'test/support', 'proto/base'],
    packages: ['ava', 'fast-check'],
  },
  'manager/raft/examples': { sees: ['manager/raft'], packages: [] },
  'manager/consensus': { sees: ['proto', 'manager/consensus'], packages: ['raft-ts'] },
  'manager/store/apply': {
    sees: ['manager/store', 'proto/types', 'proto/base'],
    packages: [],
    pure: true,
  },
  'manager/store': { sees: ['proto', 'manager/store', 'manager/consensus'], packages: ['sorted-btree'] },
  'manager/orchestrator': {
    sees: [
      'manager/orchestrator',
      'manager/leader/controller.ts',
      'manager/store',
      'proto/types',
      'proto/base',
      'scheduler',
    ],
    packages: [],
    pure: true,
  },
  'manager/allocator': {
    sees: [
      'manager/allocator',
      'manager/leader/controller.ts',
      'manager/store',
      'proto/types',
      'proto/base',
      'scheduler/slots.ts',
    ],
    packages: ['ip-address'],
    pure: true,
  },
  'manager/dispatcher/assignments.ts': {
    sees: ['manager/dispatcher/rows.ts', 'manager/store', 'proto/types', 'proto/base'],
    packages: [],
    pure: true,
  },
  'manager/dispatcher/rows.ts': {
    sees: ['manager/store', 'proto/types', 'proto/base'],
    packages: [],
    pure: true,
  },
  'manager/dispatcher/touched.ts': {
    sees: ['manager/dispatcher/rows.ts', 'manager/store', 'proto/types', 'proto/base'],
    packages: [],
    pure: true,
  },
  'manager/dispatcher/unsaid.ts': {
    sees: ['manager/dispatcher', 'proto/types'],
    packages: [],
    pure: true,
  },
  'manager/dispatcher/resume.ts': {
    sees: ['manager/dispatcher', 'manager/store', 'proto/types'],
    packages: [],
    pure: true,
  },
  'agent/session/assigned.ts': { sees: ['proto/types', 'proto/base'], packages: [], pure: true },
  'manager/ca': { sees: ['proto', 'manager'], packages: ['@peculiar/x509', 'reflect-metadata'] },
  'manager/dashboard': { sees: ['proto', 'manager'], packages: ['ws', 'preact', 'htm', 'preact/hooks'] },
  manager: { sees: ['proto', 'scheduler', 'manager'], packages: [] },
  'agent/task': { sees: ['agent/task', 'proto/types', 'proto/base'], packages: [], pure: true },
  'agent/net/plan': {
    sees: ['agent/net/plan', 'agent/net/node-network.ts', 'proto/types', 'proto/base'],
    packages: ['ip-address'],
    pure: true,
  },
  'agent/core/linux': { sees: ['proto/base', 'proto/types', 'agent/core/linux'], packages: ['koffi'] },
  'agent/net': { sees: ['proto', 'agent'], packages: ['dns-packet', 'ip-address'] },
  'agent/session': { sees: ['proto', 'agent'], packages: ['@peculiar/x509', 'reflect-metadata'] },
  'agent/api': { sees: ['proto', 'agent'], packages: ['ws'] },
  agent: { sees: ['proto', 'agent'], packages: [] },
  deploy: { sees: ['proto', 'scheduler', 'manager', 'agent', 'deploy'], packages: ['*'] },
  test: { sees: ['proto', 'scheduler', 'manager', 'agent', 'deploy', 'test'], packages: ['*'] },
};

/** Only these may run programs or touch the kernel's files; everything else asks them. */
const RUNS_PROGRAMS = ['agent/core/linux', 'deploy', 'test'];

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'], {
  cwd: REPO,
})
  .toString()
  .trim()
  .split('\n')
  .filter((file) => !file.startsWith('proto/gen/') && !file.startsWith('test/data/'));
const sources = new Map(files.map((file) => [file, parse(file)]));

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(join(REPO, file), 'utf8'), ts.ScriptTarget.Latest, true);
}

function roomOf(file: string): { name: string; room: Room } {
  const names = Object.keys(ROOMS).filter((name) => file === name || file.startsWith(`${name}/`));
  const name = names.sort((a, b) => b.length - a.length)[0];
  if (name === undefined) throw new Error(`${file} is in no room of test/tidy.test.ts: find it one`);
  return { name, room: ROOMS[name] as Room };
}

function importsOf(source: ts.SourceFile): string[] {
  return source.statements
    .filter((node) => ts.isImportDeclaration(node) || (ts.isExportDeclaration(node) && node.moduleSpecifier))
    .map((node) => ((node as ts.ImportDeclaration).moduleSpecifier as ts.StringLiteral).text);
}

/** The file that a `#room/…` or relative import names; undefined for packages. */
function targetOf(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('#')) return specifier.slice(1);
  if (specifier.startsWith('.')) return normalize(join(dirname(file), specifier));
  return undefined;
}

function within(target: string, prefix: string): boolean {
  return target === prefix || target.startsWith(`${prefix}/`);
}

test('walls: every import stays within what its room may see', (t) => {
  for (const [file, source] of sources) {
    const { name, room } = roomOf(file);
    for (const specifier of importsOf(source)) {
      const target = targetOf(file, specifier);
      if (target !== undefined) {
        t.true(
          room.sees.some((prefix) => within(target, prefix)),
          `${file} imports ${specifier}: ${name} may not see it`,
        );
        t.true(
          specifier.endsWith('.ts') || specifier.endsWith('.json'),
          `${file}: ${specifier} needs its .ts ending`,
        );
      } else if (!specifier.startsWith('node:')) {
        const allowed = room.packages.includes('*') || room.packages.includes(specifier);
        t.true(allowed, `${file} imports the package ${specifier}, whose home is elsewhere`);
      }
    }
  }
});

test('walls: across rooms imports are #room/…, within a room relative', (t) => {
  for (const [file, source] of sources) {
    for (const specifier of importsOf(source)) {
      const target = targetOf(file, specifier);
      if (target === undefined) continue;
      const sameRoom = file.split('/')[0] === target.split('/')[0];
      if (specifier.startsWith('#test/support/')) continue;
      t.is(specifier.startsWith('#'), !sameRoom, `${file}: ${specifier}`);
    }
  }
});

test('purity: pure rooms never wait, and read no clock, randomness, environment or disk', (t) => {
  const banned = /\b(Date\.now|performance\.now|Math\.random|setTimeout|setInterval|process\.|console\.)/;
  for (const [file, source] of sources) {
    if (!roomOf(file).room.pure) continue;
    for (const specifier of importsOf(source))
      t.false(specifier.startsWith('node:'), `${file} imports ${specifier}`);
    const code = withoutComments(source);
    t.notRegex(code, /\basync\b|\bawait\b|\bPromise\b/, `${file}: pure rooms decide, they never wait`);
    t.notRegex(code, banned, `${file}: time, chance and surroundings are handed in`);
  }
});

test('programs: only agent/core/linux runs programs of the system', (t) => {
  for (const [file, source] of sources) {
    if (RUNS_PROGRAMS.some((prefix) => within(file, prefix))) continue;
    t.false(importsOf(source).includes('node:child_process'), `${file} runs programs: ask agent/core/linux`);
  }
});

test('cycles: no file imports itself through others', (t) => {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    t.false(path.includes(file), [...path.slice(path.indexOf(file)), file].join(' -> '));
    const source = sources.get(file);
    if (done.has(file) || path.includes(file) || source === undefined) return;
    for (const target of valueImports(file, source)) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
  t.pass();
});

/** Imports that are there when the program runs. */
function valueImports(file: string, source: ts.SourceFile): string[] {
  return source.statements.flatMap((node) => {
    if (!ts.isImportDeclaration(node) || node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword)
      return [];
    const target = targetOf(file, (node.moduleSpecifier as ts.StringLiteral).text);
    return target === undefined ? [] : [target];
  });
}

test(`size: no file over ${FILE_LINES_MAX} lines, no function over ${FUNCTION_LINES_MAX}`, (t) => {
  for (const [file, source] of sources) {
    t.true(
      source.getLineStarts().length - 1 <= FILE_LINES_MAX,
      `${file} is too long: split it by what it does`,
    );
    for (const { name, lines } of functionsOf(source)) {
      if (file.startsWith('test/conformance/') && name.endsWith('Suite')) continue;
      t.true(lines <= FUNCTION_LINES_MAX, `${file}: ${name} has ${lines} lines`);
    }
  }
});

function functionsOf(source: ts.SourceFile): { name: string; lines: number }[] {
  const found: { name: string; lines: number }[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body) {
      const from = source.getLineAndCharacterOfPosition(node.getStart(source)).line;
      const to = source.getLineAndCharacterOfPosition(node.getEnd()).line;
      found.push({
        name: node.name?.getText(source) ?? `function at line ${from + 1}`,
        lines: to - from + 1,
      });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

test('words: no unfinished places, no machine paths, no `any` in signatures', (t) => {
  for (const [file, source] of sources) {
    if (file === 'test/tidy.test.ts') continue;
    t.notRegex(
      source.text,
      /\b(TODO|FIXME|XXX|HACK)\b/,
      `${file}: finish it, or list it under "Not yet" in the README`,
    );
    t.notRegex(source.text, /(^|[^\w])\/(work|home|root)\/\w/, `${file} names a path of one machine`);
    t.false(saysAny(source), `${file}: say what it is instead of any`);
  }
});

function saysAny(node: ts.Node): boolean {
  return node.kind === ts.SyntaxKind.AnyKeyword || (ts.forEachChild(node, saysAny) ?? false);
}

function withoutComments(source: ts.SourceFile): string {
  const printer = ts.createPrinter({ removeComments: true });
  return printer.printFile(source);
}
