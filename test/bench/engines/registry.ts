import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Programs } from '../peers/peer.ts';

const STARTS_MS_MAX = 10_000;

/** Debian's docker-registry on loopback, in this network namespace or another. Several may serve the same folder. */
export class LoopbackRegistry {
  readonly #programs: Programs;
  #child: ChildProcess | undefined;
  /** 127.0.0.1:PORT, once it has been started. */
  host = '';

  constructor(programs: Programs) {
    this.#programs = programs;
  }

  /** Serves a folder, which is made. `namespace` is the name of a network namespace. */
  async start(folder: string, namespace?: string): Promise<void> {
    await this.stop();
    const storage = join(folder, 'storage');
    await mkdir(storage, { recursive: true });
    const config = join(folder, 'config.yml');
    await writeFile(config, JSON.stringify(configOf(storage)));
    const command = [this.#programs.path('docker-registry'), 'serve', config];
    const inside = namespace === undefined ? [] : ['nsenter', `--net=/run/netns/${namespace}`];
    const [program = '', ...args] = [...inside, ...command];
    const env = { ...process.env, OTEL_TRACES_EXPORTER: 'none' };
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
    this.#child = child;
    this.host = await addressOf(child);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

function configOf(storage: string): object {
  return {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: storage }, cache: { blobdescriptor: 'inmemory' } },
    http: { addr: '127.0.0.1:0' },
  };
}

/** It says itself which port it got. */
async function addressOf(child: ChildProcess): Promise<string> {
  const late = setTimeout(() => child.kill('SIGKILL'), STARTS_MS_MAX);
  let said = '';
  for await (const line of createInterface({ input: child.stderr as NodeJS.ReadableStream })) {
    said += `${line}\n`;
    const found = /listening on (127\.0\.0\.1:\d+)/.exec(line)?.[1];
    if (found === undefined) continue;
    clearTimeout(late);
    child.stderr?.resume();
    return found;
  }
  clearTimeout(late);
  throw new Error(`docker-registry did not start:\n${said}`);
}
