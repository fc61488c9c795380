import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readCgroupLayout } from '#agent/core/linux/cgroup-layout.ts';
import { readMounts } from '#agent/core/linux/mounts.ts';
import type { LocalNode } from '#deploy/local/daemon.ts';
import { namespaceOf } from '#deploy/local/lan.ts';
import { run } from '#deploy/local/run.ts';
import { instanceOf } from '#deploy/node/machine.ts';

/** By its path: one of the npm packages has a program of the same name. */
const NFT = '/usr/sbin/nft';
/** What nodes tell of their own addresses comes in its own time. */
const NODE_ADDRESSES = /\tset nodeips \{[\s\S]*?\n\t\}\n/;

/** What a node has of its machine, in words that can be compared: of containers, networks and published ports. */
export async function nodeState(node: LocalNode): Promise<Record<string, string[]>> {
  const inside = (...command: string[]): Promise<string> =>
    run(['nsenter', `--net=/run/netns/${namespaceOf(node.cluster, node.name)}`, ...command]);
  const [links, rules, routes, neighbours, tables] = await Promise.all([
    inside('ip', '-o', 'link'),
    inside('ip', 'rule'),
    inside('ip', '-4', 'route', 'show', 'table', 'all'),
    inside('ip', 'neigh', 'show', 'nud', 'permanent'),
    inside(NFT, 'list', 'ruleset'),
  ]);
  return {
    links: lines(links).map((line) => line.split(': ')[1] ?? ''),
    rules: lines(rules),
    // Whether the last container's link is gone already is the kernel's affair.
    routes: lines(routes.replaceAll(/ linkdown\b/g, '')),
    neighbours: lines(neighbours),
    tables: lines(tables.replace(NODE_ADDRESSES, '')),
    mounts: mountsOf(node),
    groups: groupsOf(node),
    namespaces: entries(join(node.execRoot, 'netns')),
  };
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .sort();
}

function mountsOf({ dataRoot, execRoot }: LocalNode): string[] {
  const targets = readMounts().map(({ target }) => target);
  return targets
    .filter((target) => [dataRoot, execRoot].some((root) => target.startsWith(`${root}/`)))
    .sort();
}

function groupsOf({ dataRoot }: LocalNode): string[] {
  return readCgroupLayout().roots.flatMap((root) => {
    const folder = join(root, 'shoal', instanceOf(dataRoot));
    return folders(folder).map((name) => join(folder, name));
  });
}

function folders(path: string): string[] {
  if (!existsSync(path)) return [];
  const found = readdirSync(path, { withFileTypes: true });
  return found.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

function entries(path: string): string[] {
  return existsSync(path) ? readdirSync(path).sort() : [];
}
