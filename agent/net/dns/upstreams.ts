import { readFileSync, statSync } from 'node:fs';

/** Resolvers of the machine as systemd knows them, where it listens at 127.0.0.53 itself. */
const SYSTEMD_FILE = '/run/systemd/resolve/resolv.conf';
const STUB = '127.0.0.53';
const RESOLV_CONF = '/etc/resolv.conf';
/** More than that the C library doesn't read either. */
const UPSTREAMS_MAX = 3;

/** IPv4 nameservers of a resolv.conf, in their order. */
export function nameserversIn(text: string): string[] {
  return [...text.matchAll(/^\s*nameserver\s+(\d+\.\d+\.\d+\.\d+)\s*$/gm)]
    .map((match) => match[1] as string)
    .slice(0, UPSTREAMS_MAX);
}

/** The machine's own nameservers, read again when their file changes. */
export class HostUpstreams {
  readonly #file: string;
  readonly #systemdFile: string;
  #stamp = '';
  #known: readonly string[] = [];

  constructor(file = RESOLV_CONF, systemdFile = SYSTEMD_FILE) {
    this.#file = file;
    this.#systemdFile = systemdFile;
  }

  get(): readonly string[] {
    const stamp = `${stampOf(this.#file)} ${stampOf(this.#systemdFile)}`;
    if (stamp !== this.#stamp) {
      this.#stamp = stamp;
      const own = nameserversIn(textOf(this.#file));
      this.#known = own.includes(STUB) ? nameserversIn(textOf(this.#systemdFile)) : own;
    }
    return this.#known;
  }
}

function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? '-' : `${stat.ino}/${stat.mtimeMs}/${stat.size}`;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
