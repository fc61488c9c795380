/*
 * One node's network in a process of its own, which runs in the node's namespace: what a daemon is to it. Told over
 * IPC what to call.
 */

import { linuxNetMachine, type NetMachine } from '#agent/net/net-machine.ts';
import type { NodeNetwork } from '#agent/net/node-network.ts';
import { type NodeNetworkOpts, openNodeNetwork, teardownNodeNetwork } from '#agent/net/open.ts';
import { systemClock } from '#proto/base/clock.ts';
import { codeOf, messageOf } from '#proto/base/errors.ts';
import { type Log, nullLog } from '#proto/base/log.ts';
import { systemRandom } from '#proto/base/random.ts';

const warnings: string[] = [];
const log: Log = {
  ...nullLog,
  warn: (message, fields) => void warnings.push(`${message} ${JSON.stringify(fields ?? {})}`),
};
log.child = (): Log => log;

const modules = { clock: systemClock, random: systemRandom, log };
let network: NodeNetwork | undefined;
const commands: string[] = [];

/** The machine, with every command of ip and bridge written down. */
function noted(machine: NetMachine): NetMachine {
  const { commands: real } = machine;
  const note = (tool: string, lines: readonly string[]): void => {
    if (tool !== 'nft') commands.push(...lines);
  };
  return {
    ...machine,
    commands: {
      run: (netns, tool, lines) => {
        note(tool, lines);
        return real.run(netns, tool, lines);
      },
      runOnce: (netns, tool, lines) => {
        note(tool, lines);
        return real.runOnce(netns, tool, lines);
      },
      load: (netns, script) => real.load(netns, script),
      query: (netns, argv) => real.query(netns, argv),
      release: (netns) => real.release(netns),
    },
  };
}

const own = {
  open: async (opts: NodeNetworkOpts, dataPathAddr: string): Promise<void> => {
    network = await openNodeNetwork(opts, {
      ...modules,
      dataPathAddr: () => dataPathAddr,
      machine: noted(linuxNetMachine(modules)),
    });
  },
  dispose: async (): Promise<void> => await network?.[Symbol.asyncDispose](),
  teardown: (opts: NodeNetworkOpts): Promise<void> => teardownNodeNetwork(opts, modules),
  warnings: (): string[] => warnings.splice(0),
  /** Commands of ip and bridge since the last call. */
  commands: (): string[] => commands.splice(0),
  pid: (): number => process.pid,
};
export type OwnVerbs = typeof own;

interface Call {
  readonly id: number;
  readonly verb: string;
  readonly args: readonly unknown[];
}

async function run(call: Call): Promise<unknown> {
  const target = call.verb in own ? own : network;
  if (target === undefined) throw new Error('the network is not open');
  const verb = (target as unknown as Record<string, (...args: readonly unknown[]) => unknown>)[call.verb];
  const startedAtMs = performance.now();
  const value = await verb?.call(target, ...call.args);
  return { value, tookMs: performance.now() - startedAtMs };
}

process.on('message', (call: Call) => {
  run(call).then(
    (result) => process.send?.({ id: call.id, ...(result as object) }),
    (error: unknown) => process.send?.({ id: call.id, error: messageOf(error), code: codeOf(error) }),
  );
});
process.on('disconnect', () => process.exit());
