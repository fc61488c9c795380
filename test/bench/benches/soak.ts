import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalGroup } from '../raft/shoal-group.ts';
import { soak } from '../raft/soak.ts';
import type { Bench, Sample, Subject } from '../subject.ts';

const SOAK_MS = 600_000;
const WARM_UP_MS = 3_000;
/** What is asked of it, in the place of a peer. */
const ASKED: readonly Sample[] = [
  { figure: 'soak-elections', value: 0 },
  { figure: 'soak-refused', value: 0 },
  { figure: 'soak-slowest-ms', value: 1_000 },
];

/** Three members that take a write now and then for ten minutes, on a machine whose processors are full. */
export const bench: Bench = {
  about: 'ten minutes of writes to three managers, while other programs want all of every processor',
  peer: { name: 'asked', programs: [], packages: [], needs: [] },
  figures: [
    { name: 'soak-elections', unit: 'count', meaning: 'terms that began in ten minutes' },
    { name: 'soak-refused', unit: 'count', meaning: 'writes that were not taken' },
    { name: 'soak-slowest-ms', unit: 'ms', meaning: 'the longest that a write took', goal: 1 },
  ],
  slices: ['soak'],
  warmUp: 'warm-up',
  sliceMsMax: SOAK_MS + 120_000,
  runs: 1,
  async subjects() {
    return { ours: ours(), theirs: asked };
  },
};

function ours(): Subject {
  const group = new ShoalGroup(mkdtempSync(join(tmpdir(), 'shoal-bench-soak-')), 'kv');
  return {
    name: 'shoal',
    start: () => group.start(),
    stop: () => group.stop(),
    async measure(slice, signal) {
      const ms = slice === 'soak' ? SOAK_MS : WARM_UP_MS;
      const { elections, refused, slowestMs } = await soak(group, ms, signal);
      if (slice !== 'soak') return [];
      return [
        { figure: 'soak-elections', value: elections },
        { figure: 'soak-refused', value: refused },
        { figure: 'soak-slowest-ms', value: slowestMs },
      ];
    },
  };
}

const asked: Subject = {
  name: 'asked',
  async start() {},
  async stop() {},
  async measure(slice) {
    return slice === 'soak' ? ASKED : [];
  },
};
