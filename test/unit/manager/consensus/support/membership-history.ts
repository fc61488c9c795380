import { randomInt } from '#proto/base/random.ts';
import { Group, type Manager } from './group.ts';
import { checkAgreement, END, type Outcome, proposeSome } from './history.ts';

const STEPS = 60;
const MEMBERS_MAX = 6;

/** A random history in which managers join and are removed while others are killed or cut off. Throws as randomHistory. */
export async function randomMembershipHistory(seed: number): Promise<void> {
  const group = await Group.of(3, {
    seed,
    limits: { snapshotEveryEntries: 25, logEntriesForSlowFollowers: 5, segmentBytes: 32 * 1024 },
  });
  const history: History = { group, outcomes: [], removed: new Set(), joined: 3 };
  try {
    for (let step = 0; step < STEPS; step += 1) {
      await randomStep(history, step);
      await group.clock.advance(randomInt(group.random, 150));
    }
    await finish(history);
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  } finally {
    await group.close();
  }
}

interface History {
  readonly group: Group;
  readonly outcomes: Outcome[];
  readonly removed: Set<string>;
  joined: number;
}

async function randomStep(history: History, step: number): Promise<void> {
  const { group, outcomes, removed } = history;
  const { random, network } = group;
  const names = [...group.managers.keys()].filter((name) => !removed.has(name));
  const manager = group.manager(names[randomInt(random, names.length)] as string);
  const dice = random.next();
  if (dice < 0.4) proposeSome(group, outcomes, step);
  else if (dice < 0.5 && names.length < MEMBERS_MAX) letIn(history);
  else if (dice < 0.6 && names.length > 3) remove(history, manager);
  else if (dice < 0.75) await killOrRestart(group, manager);
  else if (dice < 0.83) network.cutOff(`node-${manager.name}`);
  else for (const name of names) network.heal(`node-${name}`);
}

/** Somebody is let in, and starts as soon as it knows; if nobody leads, nobody is. */
function letIn(history: History): void {
  const leader = history.group.leader()?.consensus;
  if (leader === undefined) return;
  history.joined += 1;
  const name = `m${history.joined}`;
  const joins = leader.addMember(history.group.identity(name)).then(({ raftId }) => {
    const members = leader.members();
    return history.group.start(name, { kind: 'join', raftId, members });
  });
  joins.catch(() => undefined);
}

function remove(history: History, { name, raftId }: Manager): void {
  const removal = history.group.leader()?.consensus?.removeMember(raftId);
  removal?.then(
    () => void history.removed.add(name),
    () => undefined,
  );
}

async function killOrRestart(group: Group, manager: Manager): Promise<void> {
  if (manager.raftId === 0) return;
  if (manager.consensus === undefined) await group.restart(manager.name);
  else group.kill(manager.name, group.random.next() < 0.5);
}

async function finish({ group, outcomes }: History): Promise<void> {
  for (const { name, consensus, raftId } of group.managers.values()) {
    group.network.heal(`node-${name}`);
    if (consensus === undefined && raftId !== 0) await group.restart(name);
  }
  await group.write(END);
  const members = (await group.awaitLeader()).consensus?.members() ?? [];
  const staying = group.running.filter(({ raftId }) => members.some((member) => member.raftId === raftId));
  for (const { name, journal } of staying)
    await group.until(() => journal.lines.includes(END), `${name} has all`);
  checkAgreement(staying, outcomes);
}
