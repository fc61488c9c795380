import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { quorumReached, quorumVote, type VoteResult, type Voters } from '../src/quorum.ts';
import type { PeerId } from '../src/types.ts';
import { describeQuorum, runScript, type ScriptCase } from '../testing/index.ts';

const SCRIPTS = join(import.meta.dirname, 'data', 'quorum', 'testdata');
const RESULTS: Record<VoteResult, string> = { pending: 'VotePending', won: 'VoteWon', lost: 'VoteLost' };

for (const name of readdirSync(SCRIPTS).sort()) {
  test(`quorum script: ${name.replace('.txt', '')} prints what is written`, (t) => {
    t.deepEqual(runScript(readFileSync(join(SCRIPTS, name), 'utf8'), runCommand), []);
  });
}

function runCommand(script: ScriptCase): string {
  const values = (key: string): readonly string[] => script.args.find((arg) => arg.key === key)?.values ?? [];
  const ids = (key: string): PeerId[] =>
    values(key)
      .filter((id) => id !== 'zero')
      .map(Number);
  const conf: Voters = { voters: ids('cfg'), votersOutgoing: ids('cfgj') };
  const named = [...new Set([...conf.voters, ...conf.votersOutgoing])];
  const said = new Map(named.map((id, at) => [id, [...values('idx'), ...values('votes')][at]]));
  if (script.command === 'vote') return RESULTS[quorumVote(conf, (id) => voteOf(said.get(id)))];
  const reached = (id: PeerId): number | undefined =>
    said.get(id) === '_' ? undefined : Number(said.get(id));
  const committed = quorumReached(conf, (id) => reached(id) ?? 0);
  const picture = describeQuorum(conf, reached);
  // Without voters the picture has no line of its own.
  if (named.length === 0) return `${picture.join('')}∞`;
  return [...picture, String(committed)].join('\n');
}

function voteOf(word: string | undefined): boolean | undefined {
  return word === undefined || word === '_' ? undefined : word === 'y';
}

const anyVoters = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 7 });
const anyConf = fc.record({ voters: anyVoters, votersOutgoing: anyVoters });
const anyIndices = fc.array(fc.nat({ max: 8 }), { minLength: 13, maxLength: 13 });
const anyVotes = fc.array(fc.constantFrom(true, false, undefined), { minLength: 13, maxLength: 13 });

function isMajority(count: number, of: number): boolean {
  return count * 2 > of;
}

test('quorum: an index is reached exactly when a majority of each side has it', (t) => {
  fc.assert(
    fc.property(anyConf, anyIndices, (conf, indices) => {
      const has = (side: readonly PeerId[], index: number): boolean =>
        side.length === 0 ||
        isMajority(side.filter((id) => (indices[id] as number) >= index).length, side.length);
      const reached = quorumReached(conf, (id) => indices[id] as number);
      for (let index = 0; index <= 9; index += 1) {
        const everySide = has(conf.voters, index) && has(conf.votersOutgoing, index);
        t.is(index <= reached, everySide);
      }
    }),
    { numRuns: 2000 },
  );
});

test('quorum: a vote is won, lost or open as all ways for the silent voters to answer agree', (t) => {
  fc.assert(
    fc.property(anyConf, anyVotes, (conf, votes) => {
      t.is(
        quorumVote(conf, (id) => votes[id]),
        oracle(conf, votes),
      );
    }),
    { numRuns: 2000 },
  );
});

/** Tries every way the silent voters could answer. */
function oracle(conf: Voters, votes: readonly (boolean | undefined)[]): VoteResult {
  const silent = [...new Set([...conf.voters, ...conf.votersOutgoing])].filter(
    (id) => votes[id] === undefined,
  );
  const outcomes = new Set<boolean>();
  for (let answers = 0; answers < 2 ** silent.length; answers += 1) {
    const granted = (id: PeerId): boolean =>
      votes[id] ?? Math.floor(answers / 2 ** silent.indexOf(id)) % 2 === 1;
    const wins = (side: readonly PeerId[]): boolean =>
      side.length === 0 || isMajority(side.filter(granted).length, side.length);
    outcomes.add(wins(conf.voters) && wins(conf.votersOutgoing));
  }
  if (outcomes.size === 2) return 'pending';
  return outcomes.has(true) ? 'won' : 'lost';
}

test('quorum: an empty other side changes nothing', (t) => {
  fc.assert(
    fc.property(anyVoters, anyIndices, (voters, indices) => {
      const reached = (id: PeerId): number => indices[id] as number;
      t.is(
        quorumReached({ voters, votersOutgoing: [] }, reached),
        quorumReached({ voters: [], votersOutgoing: voters }, reached),
      );
    }),
  );
});
