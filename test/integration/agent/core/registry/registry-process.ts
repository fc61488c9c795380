import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';
import { scratch } from '../image/support.ts';

export interface TestRegistry {
  /** 127.0.0.1:PORT. */
  readonly host: string;
  readonly root: string;
  /** Ends it before the test does. */
  stop(): Promise<void>;
}

export interface TestRegistryOpts {
  /** `name:bcrypt hash`: who may come in. */
  readonly htpasswd?: string;
  /** Shows a certificate of an authority of the test's own. */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

/** Debian's docker-registry on a port of its own choice, ended when the test is over. */
export async function startRegistry(t: ExecutionContext, opts: TestRegistryOpts = {}): Promise<TestRegistry> {
  const root = scratch(t);
  const storage = join(root, 'storage');
  mkdirSync(storage);
  const config: object = {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
    http: {
      addr: '127.0.0.1:0',
      ...(opts.tls && { tls: { certificate: opts.tls.certificate, key: opts.tls.key } }),
    },
    ...(opts.htpasswd && { auth: { htpasswd: { realm: 'test', path: join(root, 'htpasswd') } } }),
  };
  writeFileSync(join(root, 'htpasswd'), opts.htpasswd ?? '');
  writeFileSync(join(root, 'config.yml'), JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', join(root, 'config.yml')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.teardown(() => stop(child));
  return { host: await addressOf(child), root, stop: () => stop(child) };
}

async function addressOf(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stderr as NodeJS.ReadableStream });
  let said = '';
  for await (const line of lines) {
    said += `${line}\n`;
    const found = /listening on (127\.0\.0\.1:\d+)/.exec(line);
    if (found?.[1]) {
      child.stderr?.resume();
      return found[1];
    }
  }
  throw new Error(`docker-registry did not start:\n${said}`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

export function skopeo(...args: readonly string[]): string {
  return execFileSync('skopeo', ['--insecure-policy', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  }).toString();
}
