import { performance } from 'node:perf_hooks';
import { styleText } from 'node:util';
import { createLogUpdate } from 'log-update';
import { type ApiTask, runningTasks } from './observe.ts';
import { seconds, versionsText } from './report.ts';
import type { Phase, Progress } from './scenario.ts';

const FRAME_MS = 100;
const SPINNER = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';

/** Shows how a run goes until it is disposed: drawn anew ten times a second, or line by line where nobody watches. */
export interface Screen extends Disposable {
  /** One line of its own, above what is drawn. */
  say(line: string): void;
}

/** `title` names the run; `progress` is read at every frame. */
export function openScreen(title: string, progress: () => Progress | undefined): Screen {
  return process.stdout.isTTY ? liveScreen(title, progress) : plainScreen(title, progress);
}

function liveScreen(title: string, progress: () => Progress | undefined): Screen {
  const draw = createLogUpdate(process.stdout, { showCursor: true });
  const lines: string[] = [];
  const frame = (): void => draw(frameText(title, lines, progress(), performance.now()));
  const timer = setInterval(frame, FRAME_MS);
  return {
    say: (line) => void lines.push(line),
    [Symbol.dispose]() {
      clearInterval(timer);
      frame();
      draw.done();
    },
  };
}

/** Says when a phase begins and ends, and how the load stands in between. */
function plainScreen(title: string, progress: () => Progress | undefined): Screen {
  console.log(title);
  const told = new Set<string>();
  const tell = (key: string, line: string): void => {
    if (!told.has(key)) console.log(line);
    told.add(key);
  };
  const look = (): void => {
    for (const phase of progress()?.phases ?? []) {
      tell(`${phase.name}/begun`, `… ${phase.name}`);
      if (phase.endedAtMs !== undefined)
        tell(`${phase.name}/ended`, `${mark(phase)} ${phase.name}: ${duration(phase)}`);
    }
  };
  const timer = setInterval(look, FRAME_MS);
  return {
    say: (line) => console.log(line),
    [Symbol.dispose]() {
      clearInterval(timer);
      look();
    },
  };
}

function frameText(
  title: string,
  lines: readonly string[],
  progress: Progress | undefined,
  nowMs: number,
): string {
  const said = lines.map((line) => `  ${styleText('dim', line)}`);
  const parts = [styleText('bold', title), ...said, ''];
  if (progress === undefined) return parts.join('\n');
  parts.push(...progress.phases.map((phase) => phaseLine(phase, nowMs)), '', ...nodeLines(progress), '');
  if (progress.load !== undefined) parts.push(loadLine(progress));
  return parts.join('\n');
}

function phaseLine(phase: Phase, nowMs: number): string {
  const spinner = SPINNER[Math.floor(nowMs / FRAME_MS) % SPINNER.length] ?? '';
  if (phase.endedAtMs === undefined) {
    return `  ${styleText('cyan', spinner)} ${phase.name} ${styleText('dim', seconds(nowMs - phase.startedAtMs))}`;
  }
  const colour = phase.failed === undefined ? 'green' : 'red';
  return `  ${styleText(colour, mark(phase))} ${phase.name} ${styleText('dim', duration(phase))}`;
}

function mark(phase: Phase): string {
  return phase.failed === undefined ? '✔' : '✘';
}

function duration(phase: Phase): string {
  return phase.failed ?? seconds((phase.endedAtMs ?? phase.startedAtMs) - phase.startedAtMs);
}

function nodeLines({ observation, killed }: Progress): string[] {
  const running = new Set(runningTasks(observation).map(({ ID }) => ID));
  return [...observation.nodes]
    .sort((a, b) => a.Description.Hostname.localeCompare(b.Description.Hostname))
    .map((node) => {
      const tasks = observation.tasks.filter(({ NodeID }) => NodeID === node.ID);
      const marks = tasks.map((task) => taskMark(task, running.has(task.ID))).join('');
      const role = node.ManagerStatus?.Leader ? 'leader' : node.Spec.Role;
      const state = node.Spec.Availability === 'active' ? node.Status.State : node.Spec.Availability;
      const note = node.Description.Hostname === killed ? ' (was killed)' : '';
      const name = node.Description.Hostname.padEnd(4);
      return `  ${name} ${styleText('dim', `${role.padEnd(8)}${state}${note}`.padEnd(30))} ${marks}`;
    });
}

/** A dot for each replica: its colour is its version, hollow while it comes or goes, nothing once it has ended. */
function taskMark({ Status, Spec }: ApiTask, running: boolean): string {
  const colour = Spec.ContainerSpec.Image.startsWith('shoal-demo:2') ? 'magenta' : 'blue';
  if (running) return styleText(colour, '●');
  const ended = ['complete', 'shutdown', 'failed', 'rejected', 'orphaned', 'remove'].includes(Status.State);
  return ended ? '' : styleText(colour, '○');
}

function loadLine({ load }: Progress): string {
  const failed = load?.failed ?? 0;
  const colour = failed === 0 ? 'green' : 'red';
  const text = `  requests ${load?.sent ?? 0}   ${styleText(colour, `failed ${failed}`)}   ${versionsText(load?.versions ?? {})}`;
  return load?.lastFailure ? `${text}\n  ${styleText('red', load.lastFailure)}` : text;
}
