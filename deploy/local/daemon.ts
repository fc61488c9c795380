import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineClient } from '../cli/engine-client.ts';
import { namespaceOf } from './lan.ts';
import { run } from './run.ts';

/** One node of a local cluster. Paths are absolute. */
export interface LocalNode {
  readonly name: string;
  readonly cluster: string;
  readonly manager: boolean;
  readonly address: string;
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly socket: string;
  readonly pidFile: string;
  readonly logFile: string;
}

const SHOALD = join(import.meta.dirname, '..', 'bin', 'shoald');
/** Where the local nodes serve their metrics and their page (the port of dockerd's documentation). */
export const METRICS_PORT = 9323;
const START_WAIT_MS = 30_000;
const STOP_WAIT_MS = 20_000;
const POLL_MS = 20;

/** Starts the node's daemon in its namespace, and resolves when it answers. Throws with the end of its log when it doesn't. */
export async function startDaemon(node: LocalNode): Promise<void> {
  await mkdir(dirname(node.socket), { recursive: true });
  await mkdir(dirname(node.logFile), { recursive: true });
  const log = await open(node.logFile, 'a');
  const child = spawn('nsenter', inside(node, SHOALD, ...flagsOf(node)), {
    stdio: ['ignore', log.fd, log.fd],
    detached: true,
  });
  child.unref();
  await log.close();
  const ended = new Promise<never>((_resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`the daemon ended with code ${code}`)));
  });
  try {
    await Promise.race([answers(node), ended]);
  } catch (error) {
    throw new Error(`${node.name} did not start: ${(error as Error).message}\n${await logTail(node)}`);
  }
}

/** Arguments of nsenter that run a command in the node's network namespace. */
function inside(node: LocalNode, ...command: string[]): string[] {
  return [`--net=/run/netns/${namespaceOf(node.cluster, node.name)}`, ...command];
}

function flagsOf(node: LocalNode): string[] {
  return [
    ...['--data-root', node.dataRoot, '--exec-root', node.execRoot, '--pidfile', node.pidFile],
    ...[
      '-H',
      `unix://${node.socket}`,
      '--hostname',
      node.name,
      '--metrics-addr',
      `${node.address}:${METRICS_PORT}`,
    ],
  ];
}

async function answers(node: LocalNode): Promise<void> {
  const client = new EngineClient(`unix://${node.socket}`);
  const untilMs = Date.now() + START_WAIT_MS;
  for (;;) {
    try {
      return void (await client.open('GET', '/_ping')).resume();
    } catch (error) {
      if (Date.now() > untilMs) throw error;
    }
    await sleep(POLL_MS);
  }
}

async function logTail(node: LocalNode): Promise<string> {
  const text = await readFile(node.logFile, 'utf8').catch(() => '');
  return text.split('\n').slice(-15).join('\n');
}

/** The daemon's process id while it runs. */
export async function daemonPid(node: LocalNode): Promise<number | undefined> {
  const text = await readFile(node.pidFile, 'utf8').catch(() => '');
  const pid = Number.parseInt(text, 10);
  return Number.isNaN(pid) || !isAlive(pid) ? undefined : pid;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Sends the daemon a signal; false when it does not run. */
export async function signalDaemon(node: LocalNode, signal: NodeJS.Signals): Promise<boolean> {
  const pid = await daemonPid(node);
  if (pid === undefined) return false;
  process.kill(pid, signal);
  return true;
}

/** Stops the daemon for good and removes every container and interface it made. */
export async function stopDaemon(node: LocalNode): Promise<void> {
  const pid = await daemonPid(node);
  if (pid !== undefined) process.kill(pid, 'SIGTERM');
  const untilMs = Date.now() + STOP_WAIT_MS;
  while (pid !== undefined && isAlive(pid)) {
    if (Date.now() > untilMs) process.kill(pid, 'SIGKILL');
    await sleep(POLL_MS);
  }
  const namespace = namespaceOf(node.cluster, node.name);
  // After a restart of the machine the namespace is gone, its containers' state is not: the machine's own namespace is not touched.
  if (!existsSync(`/run/netns/${namespace}`)) await run(['ip', 'netns', 'add', namespace]);
  await run(['nsenter', ...inside(node, SHOALD, '--remove-everything', ...flagsOf(node))]);
}
