/**
 * Programs that change the network, kept running: one `ip`, `bridge` or `nft` for each namespace that changes often,
 * fed line by line. None of them answers what succeeds, so every request ends with a command that must fail in a known
 * way; what is said before it belongs to the request.
 */
import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import { ipRequest } from './ip-command.ts';
import { LIGHT_INPUT_BYTES_MAX, runLightProgram } from './light-program.ts';
import { batchErrors, NetChannel, type NetChannelOpts, type NetErrors, type NetTool } from './net-channel.ts';
import { runProgram } from './net-program.ts';
import { changeNetwork } from './rtnetlink.ts';

export interface NetChannelsOpts extends NetChannelOpts {
  /** Programs kept at once; beyond, the one that was idle longest ends. */
  readonly keptMax: number;
}

export const NET_CHANNELS_DEFAULTS: NetChannelsOpts = {
  answerMsMax: 5_000,
  idleMs: 60_000,
  waitingMax: 1_000,
  keptMax: 64,
};

/** All programs of this daemon. */
export class NetChannels implements AsyncDisposable {
  readonly #opts: NetChannelsOpts;
  readonly #clock: Pick<Clock, 'timer'>;
  readonly #channels = new Map<string, NetChannel>();

  constructor(opts: NetChannelsOpts, modules: { readonly clock: Pick<Clock, 'timer'> }) {
    this.#opts = opts;
    this.#clock = modules.clock;
  }

  /**
   * Runs commands in their order, whatever fails; each nft command is one transaction. Rejects when the program ended:
   * then nobody knows which of them were run.
   */
  async run(netns: string | undefined, tool: NetTool, commands: readonly string[]): Promise<NetErrors> {
    if (commands.length === 0) return [];
    return await this.#channel(netns, tool).run(commands);
  }

  /**
   * The same for a namespace that is changed once in a while, without a program that is kept: most often without any. What
   * the kernel refuses `ip` is asked to do again, for its words about it.
   */
  async runOnce(
    netns: string | undefined,
    tool: 'ip' | 'bridge',
    commands: readonly string[],
  ): Promise<NetErrors> {
    const left = tool === 'ip' ? await this.#leftByKernel(netns, commands) : [...commands.keys()];
    const said = await this.#runProgram(
      netns,
      tool,
      left.map((at) => commands[at] as string),
    );
    const errors = new Array<string | undefined>(commands.length).fill(undefined);
    for (const [i, at] of left.entries()) errors[at] = said[i];
    return errors;
  }

  /** Does by itself what it can; which of the commands are still to be done. */
  async #leftByKernel(netns: string | undefined, commands: readonly string[]): Promise<number[]> {
    const all = [...commands.keys()];
    const requests = commands.map(ipRequest).filter((request) => request !== undefined);
    if (requests.length < commands.length) return all;
    const failed = await changeNetwork(netns, requests).catch(() => undefined);
    return failed === undefined ? all : all.filter((at) => failed[at]);
  }

  async #runProgram(
    netns: string | undefined,
    tool: 'ip' | 'bridge',
    commands: readonly string[],
  ): Promise<NetErrors> {
    if (commands.length === 0) return [];
    const input = `${commands.join('\n')}\n`;
    const run = Buffer.byteLength(input) <= LIGHT_INPUT_BYTES_MAX ? runLightProgram : runProgram;
    const { code, stderr } = await run(netns, [tool, '-force', '-batch', '-'], input, { clock: this.#clock });
    const errors = batchErrors(stderr, 1, commands.length);
    if (code !== 0 && errors.every((error) => error === undefined))
      throw new ShoalError('UNAVAILABLE', `${tool} in ${netns ?? 'the own namespace'}: ${stderr.trim()}`);
    return errors;
  }

  /** Loads an nft script in one transaction. Returns what is wrong with it, and then nothing of it was done. */
  async load(netns: string | undefined, script: string): Promise<string | undefined> {
    const { code, stderr } = await runProgram(netns, ['nft', '-f', '-'], script, { clock: this.#clock });
    return code === 0 ? undefined : stderr.trim() || `nft ended with ${code}`;
  }

  /** What a program prints. UNAVAILABLE when it fails. */
  async query(netns: string | undefined, argv: readonly [string, ...string[]]): Promise<string> {
    const { code, stdout, stderr } = await runProgram(netns, argv, '', { clock: this.#clock });
    if (code !== 0) throw new ShoalError('UNAVAILABLE', `${argv.join(' ')}: ${stderr.trim()}`);
    return stdout;
  }

  /** Ends the programs of a namespace: while they run it can't end. */
  async release(netns: string | undefined): Promise<void> {
    const tools: readonly NetTool[] = ['ip', 'bridge', 'nft'];
    const kept = tools.flatMap((tool) => this.#channels.get(keyOf(netns, tool)) ?? []);
    await Promise.all(kept.map((channel) => channel.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#channels.values()].map((channel) => channel.close()));
  }

  /** The kept program, most recently used last. */
  #channel(netns: string | undefined, tool: NetTool): NetChannel {
    const key = keyOf(netns, tool);
    const kept = this.#channels.get(key);
    this.#channels.delete(key);
    const channel = kept ?? this.#open(key, netns, tool);
    this.#channels.set(key, channel);
    return channel;
  }

  #open(key: string, netns: string | undefined, tool: NetTool): NetChannel {
    if (this.#channels.size >= this.#opts.keptMax) this.#closeOldest();
    const channel: NetChannel = new NetChannel(this.#opts, {
      clock: this.#clock,
      netns,
      tool,
      onEnd: () => {
        if (this.#channels.get(key) === channel) this.#channels.delete(key);
      },
    });
    return channel;
  }

  #closeOldest(): void {
    for (const [key, channel] of this.#channels) {
      if (!channel.idle) continue;
      this.#channels.delete(key);
      void channel.close();
      return;
    }
  }
}

function keyOf(netns: string | undefined, tool: NetTool): string {
  return `${tool} ${netns ?? ''}`;
}
