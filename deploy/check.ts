/** `npm run check`: what must hold before a change lands, beside the tests. Prints only what is wrong. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const REPO = join(import.meta.dirname, '..');
const modules = (path: string): string => join(REPO, 'node_modules', path);
const arch = process.arch === 'arm64' ? 'arm64' : 'x64';

const checks: readonly { name: string; command: string; args: readonly string[] }[] = [
  { name: 'generated code', command: process.execPath, args: ['proto/generate.ts', '--check'] },
  { name: 'types', command: process.execPath, args: [modules('typescript/bin/tsc'), '-p', '.'] },
  {
    name: 'format and lint',
    command: modules(`@biomejs/cli-linux-${arch}/biome`),
    args: ['check', '--diagnostic-level=warn', '--error-on-warnings', '.'],
  },
  { name: 'typed lint', command: process.execPath, args: [modules('eslint/bin/eslint.js'), '.'] },
];

for (const { name, command, args } of checks) {
  const { status } = spawnSync(command, args, { cwd: REPO, stdio: 'inherit' });
  if (status === 0) continue;
  console.error(`check failed: ${name}`);
  process.exitCode = 1;
}
