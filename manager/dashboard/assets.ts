import { readFile } from 'node:fs/promises';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';

/** One file of the page, as a browser gets it. */
export interface Asset {
  readonly type: string;
  readonly body: string;
}

const PAGE = join(import.meta.dirname, 'page');
const TYPES = {
  html: 'text/html; charset=utf-8',
  css: 'text/css',
  js: 'text/javascript',
  svg: 'image/svg+xml',
};

/** Packages that the page imports by name, and where a browser finds them. */
const VENDORED: Readonly<Record<string, string>> = {
  preact: '/vendor/preact.js',
  'preact/hooks': '/vendor/hooks.js',
  htm: '/vendor/htm.js',
};

const cache = new Map<string, Promise<Asset>>();

/** The file at this path of the page; undefined when there is none. Read once. */
export function assetAt(path: string): Promise<Asset> | undefined {
  const load = LOADERS[path];
  if (load === undefined) return undefined;
  const asset = cache.get(path) ?? load();
  cache.set(path, asset);
  return asset;
}

const LOADERS: Readonly<Record<string, () => Promise<Asset>>> = {
  '/': () => page('index.html', TYPES.html),
  '/style.css': () => page('style.css', TYPES.css),
  '/icon.svg': () => page('icon.svg', TYPES.svg),
  '/app.js': () => script(join(PAGE, 'app.ts')),
  '/vendor/preact.js': () => script(packageFile('preact')),
  '/vendor/hooks.js': () => script(packageFile('preact/hooks')),
  '/vendor/htm.js': () => script(packageFile('htm').replace(/\.js$/, '.mjs')),
};

function packageFile(name: string): string {
  return createRequire(import.meta.url).resolve(name);
}

async function page(name: string, type: string): Promise<Asset> {
  return { type, body: await readFile(join(PAGE, name), 'utf8') };
}

/** A module for the browser: types stripped, packages named by where they are served. */
async function script(path: string): Promise<Asset> {
  const source = await readFile(path, 'utf8');
  const plain = path.endsWith('.ts') ? stripTypeScriptTypes(source) : source;
  const body = plain.replace(/(from\s*|import\s*)"([^"./][^"]*)"|(from\s+)'([^'./][^']*)'/g, renamed);
  return { type: TYPES.js, body };
}

function renamed(
  all: string,
  before?: string,
  double?: string,
  beforeSingle?: string,
  single?: string,
): string {
  const target = VENDORED[double ?? single ?? ''];
  return target === undefined ? all : `${before ?? beforeSingle}"${target}"`;
}
