import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readCgroupLayout } from '#agent/core/linux/cgroup-layout.ts';
import { readMounts } from '#agent/core/linux/mounts.ts';
import type { LocalCluster } from '#deploy/local/cluster.ts';
import { namespaceOf } from '#deploy/local/lan.ts';
import { instanceOf } from '#deploy/node/machine.ts';

const NAMESPACES = '/run/netns';

/** What a local cluster occupies of its machine, noted while it is up so that it can be looked for afterwards. */
export class Footprint {
  readonly #cluster: LocalCluster;
  /** The kernel's names of the nodes' network namespaces: `net:[inode]`. */
  readonly #namespaces: ReadonlySet<string>;

  constructor(cluster: LocalCluster) {
    this.#cluster = cluster;
    const paths = cluster.nodes.map(({ name }) => join(NAMESPACES, namespaceOf(cluster.name, name)));
    this.#namespaces = new Set(paths.map((path) => `net:[${statSync(path).ino}]`));
  }

  /**
   * What is left: processes (by command line, or in one of the namespaces), namespaces, links of the machine, mounts,
   * control groups, files. The nodes' own links, tables and rules go with their namespaces.
   */
  traces(): string[] {
    return [...this.#processes(), ...this.#links(), ...this.#mounts(), ...this.#files()];
  }

  #processes(): string[] {
    const folders = this.#cluster.nodes.flatMap(({ dataRoot, execRoot }) => [dataRoot, execRoot]);
    return entries('/proc')
      .filter((pid) => /^\d+$/.test(pid))
      .filter((pid) => {
        const command = commandOf(pid);
        return folders.some((folder) => command.includes(folder)) || this.#namespaces.has(networkOf(pid));
      })
      .map((pid) => `process ${pid}: ${commandOf(pid)}`);
  }

  #links(): string[] {
    const { bridge } = this.#cluster.lan;
    return entries('/sys/class/net')
      .filter((name) => name === bridge || name.startsWith(`${bridge}.`))
      .map((name) => `link ${name}`);
  }

  #mounts(): string[] {
    const folders = this.#cluster.nodes.flatMap(({ dataRoot, execRoot }) => [dataRoot, execRoot]);
    return readMounts()
      .filter(({ target }) => folders.some((folder) => target.startsWith(`${folder}/`)))
      .map(({ target }) => `mount ${target}`);
  }

  #files(): string[] {
    const { name: cluster, nodes } = this.#cluster;
    const groups = nodes.flatMap(({ dataRoot }) =>
      readCgroupLayout().roots.map((root) => join(root, 'shoal', instanceOf(dataRoot))),
    );
    const namespaces = nodes.map(({ name }) => join(NAMESPACES, namespaceOf(cluster, name)));
    const files = nodes.flatMap(({ dataRoot, execRoot, socket, pidFile, logFile }) => [
      ...[dataRoot, execRoot, socket, pidFile, logFile],
    ]);
    return [...groups, ...namespaces, ...files].filter((path) => existsSync(path));
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

function networkOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return '';
  }
}
