/**
 * A program of a moment: writes every module of this checkout without its types into the first cache that can be
 * written to. Lines and columns stay where they are, so stack traces are right. Several may run at once.
 */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { CACHES, cacheName, REPO } from './module-cache.mjs';

const ROOMS = ['agent', 'deploy', 'manager', 'proto', 'scheduler'];
/** What no module of this checkout has been for so long is not worth keeping. */
const UNUSED_MS_MAX = 7 * 24 * 3_600_000;

fill(openCache());

function openCache() {
  for (const folder of CACHES) {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      writeFileSync(join(folder, `.${process.pid}`), '');
      unlinkSync(join(folder, `.${process.pid}`));
      return folder;
    } catch {
      // Not this one, then.
    }
  }
  process.exit(1);
}

function fill(folder) {
  const there = new Set(readdirSync(folder));
  const wanted = new Set();
  for (const file of modules()) {
    const source = readFileSync(file, 'utf8');
    const name = cacheName(source);
    wanted.add(name);
    if (!there.has(name)) maybeStrip(source, join(folder, name));
  }
  for (const name of there) if (!wanted.has(name)) maybeForget(join(folder, name));
}

/** What can't be stripped is left to Node, which says what is wrong with it if it is ever loaded. */
function maybeStrip(source, path) {
  const whole = `${path}.${process.pid}`;
  try {
    writeFileSync(whole, stripTypeScriptTypes(source));
    renameSync(whole, path);
  } catch {
    rmSync(whole, { force: true });
  }
}

function modules() {
  return ROOMS.flatMap((room) =>
    readdirSync(join(REPO, room), { recursive: true })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
      .map((name) => join(REPO, room, name)),
  );
}

function maybeForget(path) {
  try {
    if (Date.now() - statSync(path).mtimeMs > UNUSED_MS_MAX) unlinkSync(path);
  } catch {
    // Another one of us was faster.
  }
}
