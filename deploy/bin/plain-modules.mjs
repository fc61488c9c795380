/**
 * Preloaded into the daemon and its workers: gives Node the modules of this checkout without their types, as
 * strip-types.mjs left them. Node's own way is to load a compiler into every process, which then stays there: tens of
 * megabytes. What is not to be had in this way, Node loads in its own.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { CACHES, cacheName, REPO, readIfThere } from './module-cache.mjs';

const OURS = `${pathToFileURL(REPO)}/`;
const STRIP = join(import.meta.dirname, 'strip-types.mjs');
let stripped = false;

registerHooks({
  load(url, context, nextLoad) {
    if (!url.startsWith(OURS) || !url.endsWith('.ts')) return nextLoad(url, context);
    const source = plain(cacheName(readFileSync(fileURLToPath(url), 'utf8')));
    return source === undefined ? nextLoad(url, context) : { format: 'module', source, shortCircuit: true };
  },
});

// Whoever imports node:http as a module would load Node's whole fetch for these three, which nobody here uses.
const http = process.getBuiltinModule('node:http');
for (const name of ['WebSocket', 'CloseEvent', 'MessageEvent']) delete http[name];

/** The module of that name in the first cache that has it; a missing one is a reason to strip all, once. */
function plain(name) {
  const found = lookUp(name);
  if (found !== undefined || stripped) return found;
  stripped = true;
  spawnSync(process.execPath, [STRIP], { stdio: 'ignore', env: {} });
  return lookUp(name);
}

function lookUp(name) {
  return CACHES.map((folder) => readIfThere(join(folder, name))).find((source) => source !== undefined);
}
