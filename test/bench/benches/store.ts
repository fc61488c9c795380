import { StoreSubject } from '../store/store-subject.ts';
import type { Bench, Sample, Subject } from '../subject.ts';

/** What is asked of a manager; the ratio says how much of it is used. */
const ASKED: Readonly<Record<string, readonly Sample[]>> = {
  fill: [],
  updates: [
    { figure: 'main-loop-stall-max-ms', value: 30 },
    { figure: 'main-loop-work-max-ms', value: 30 },
    { figure: 'status-updates-per-s', value: 50_000 },
  ],
  lead: [
    { figure: 'full-pass-stall-max-ms', value: 30 },
    { figure: 'full-pass-work-max-ms', value: 30 },
  ],
  snapshot: [
    { figure: 'snapshot-stall-max-ms', value: 30 },
    { figure: 'snapshot-work-max-ms', value: 30 },
  ],
  memory: [{ figure: 'tasks-1m-rss-mb', value: 500 }],
  restart: [{ figure: 'restart-1m-ms', value: 3_000 }],
};

/** In the place of a peer: nobody else keeps a million tasks. */
const asked: Subject = {
  name: 'asked',
  async start() {},
  async stop() {},
  async measure(slice) {
    return ASKED[slice] ?? [];
  },
};

/** The store of a manager with 10,000 nodes and 1,000,000 tasks; one member, with its log on disk. */
export const bench: Bench = {
  about: "a manager's store with 1,000,000 tasks, beside what is asked of it",
  peer: { name: 'asked', programs: [], packages: [], needs: [] },
  figures: [
    figure(
      'tasks-1m-rss-mb',
      'MiB',
      'resident memory of the process, Raft included, after the slices before',
    ),
    figure('status-updates-per-s', 'per s', 'status updates of random tasks, committed and applied'),
    figure(
      'main-loop-stall-max-ms',
      'ms',
      'the longest that the main loop stood still, at 50,000 updates a second',
    ),
    figure('main-loop-work-max-ms', 'ms', 'the same as processor time: what other programs took is left out'),
    figure(
      'full-pass-stall-max-ms',
      'ms',
      'the longest that the main loop stood still while a new leader looked at everything, at 20,000 updates a second',
    ),
    figure('full-pass-work-max-ms', 'ms', 'the same as processor time'),
    figure(
      'snapshot-stall-max-ms',
      'ms',
      'the longest that the main loop stood still while a snapshot was taken',
    ),
    figure('snapshot-work-max-ms', 'ms', 'the same as processor time'),
    figure('restart-1m-ms', 'ms', 'from the start of the killed process to the first write it takes'),
  ],
  slices: ['updates', 'lead', 'snapshot', 'memory', 'restart'],
  warmUp: 'fill',
  sliceMsMax: 240_000,
  runs: 1,
  async subjects() {
    return { ours: new StoreSubject(), theirs: asked };
  },
};

function figure(
  name: string,
  unit: Bench['figures'][number]['unit'],
  meaning: string,
): Bench['figures'][number] {
  return { name, unit, meaning, goal: 1 };
}
