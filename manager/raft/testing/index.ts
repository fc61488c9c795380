export { COMMANDS, parseChanges } from './commands.ts';
export * from './describe.ts';
export { describeQuorum } from './describe-quorum.ts';
export { describeTrace } from './describe-trace.ts';
export { type Delivery, InteractionEnv, type OutputLevel } from './interaction-env.ts';
export { Network, type NetworkOpts } from './network.ts';
export { parseScript, runScript, type ScriptArg, type ScriptCase, type ScriptMismatch } from './script.ts';
export { ScriptNode } from './script-node.ts';
