import { networks } from '../allocator/networks.ts';
import { nodes } from '../allocator/nodes.ts';
import { services } from '../allocator/services.ts';
import { tasks } from '../allocator/tasks.ts';
import { enforcer } from '../orchestrator/enforcer.ts';
import { global } from '../orchestrator/global.ts';
import { handover } from '../orchestrator/handover.ts';
import { nodeDown } from '../orchestrator/node-down.ts';
import { reaper } from '../orchestrator/reaper.ts';
import { release } from '../orchestrator/release.ts';
import { replicated } from '../orchestrator/replicated.ts';
import { restart } from '../orchestrator/restart.ts';
import { rolling } from '../orchestrator/rolling.ts';
import { schedule } from '../orchestrator/schedule.ts';
import { update } from '../orchestrator/update.ts';
import type { Controller } from './controller.ts';

/**
 * Everything a leader decides, in the order of a task's life: what is lost, what is wanted, what replaces what, what is
 * over; then addresses, and at last nodes. Most of what happens is settled in one pass.
 */
export const CONTROLLERS: readonly Controller[] = [
  nodeDown,
  enforcer,
  replicated,
  global,
  restart,
  update,
  rolling,
  handover,
  reaper,
  release,
  networks,
  nodes,
  services,
  tasks,
  schedule,
];
