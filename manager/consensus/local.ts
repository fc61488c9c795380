import type { Consensus, KeepsFiles, StateMachine } from './consensus.ts';
import { Core } from './core.ts';
import { Face } from './face.ts';
import type { CoreModules, CoreOpts } from './opts.ts';
import { failureOf, localPorts } from './protocol.ts';

export interface LocalModules extends CoreModules {
  readonly stateMachine: StateMachine;
  /** Told once when consensus stopped because something is broken; nothing works from then on. */
  readonly onFailure: (error: Error) => void;
}

/** Consensus within this thread, on parts that are handed in: for simulations, tests and tools. */
export async function openLocalConsensus(
  opts: CoreOpts,
  modules: LocalModules,
): Promise<Consensus & KeepsFiles> {
  const { core, host } = localPorts();
  let running: Core | undefined;
  const close = async (): Promise<void> => running?.[Symbol.asyncDispose]();
  const face = new Face(opts.limits.proposalsWaitingMax, { ...modules, port: host, close });
  try {
    running = await Core.start(opts, modules, core);
  } catch (error) {
    core.post({ kind: 'failed', failure: failureOf(error) });
  }
  await face.started;
  return face;
}
