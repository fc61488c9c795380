import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '#deploy/local/run.ts';
import { cpuMsOf, enterControlGroup } from './accounting.ts';
import { imageRoot } from './image.ts';
import { endProcesses, removeControlGroup } from './leftovers.ts';

const FOLDER = '/var/lib/shoal/bench-floor';
const GROUP = 'shoal-benchf';
const AT_ONCE = 8;

/** Starts the containers given by name, one after the other, as cheaply as a shell can. */
const LOOP = `
for id in "$@"; do
  cd "$FOLDER/$id"
  conmon --api-version 1 --cid "$id" --cuuid "$id" --name "$id" --runtime "$CRUN" \\
    --runtime-arg "--root=$FOLDER/state" --bundle "$PWD" --persist-dir "$PWD" --exit-dir "$FOLDER/exits" \\
    --log-path "k8s-file:$PWD/log" --log-level error --container-pidfile "$PWD/pidfile" \\
    --conmon-pidfile "$PWD/conmon.pid" --full-attach --no-sync-log --no-new-keyring \\
    3>sync </dev/null >/dev/null 2>&1 &
  read -r answer <sync
  printf '\\0' >"$FOLDER/state/$id/exec.fifo"
  wait
done
`;

/**
 * What conmon and crun alone take for a container: processor milliseconds each, of `count` that a few shells start side
 * by side from folders that are ready. `config` is what crun is told of each, as Shoal tells it.
 */
export async function floorCpuMs(count: number, config: object, crun: string): Promise<number> {
  try {
    const ids = [...Array(count).keys()].map((index) => `floor${index}`);
    await prepare(ids, config);
    const shares = Array.from({ length: AT_ONCE }, (_, at) => ids.filter((_id, i) => i % AT_ONCE === at));
    const groupProcs = await enterable();
    const beforeMs = cpuMsOf(GROUP);
    await Promise.all(shares.map((share) => run(['sh', join(FOLDER, 'loop'), groupProcs, crun, ...share])));
    return (cpuMsOf(GROUP) - beforeMs) / count;
  } finally {
    await endProcesses(FOLDER, GROUP);
    removeControlGroup(GROUP);
    await rm(FOLDER, { recursive: true, force: true });
  }
}

async function prepare(ids: readonly string[], config: object): Promise<void> {
  const root = join(FOLDER, 'root');
  for (const folder of [root, join(FOLDER, 'exits'), join(FOLDER, 'state')])
    await mkdir(folder, { recursive: true });
  await writeFile(join(FOLDER, 'root.tar'), await imageRoot());
  await run(['tar', '-C', root, '-xf', join(FOLDER, 'root.tar')]);
  const head = `#!/bin/sh\nset -eu\necho $$ >"$1"; CRUN=$2; FOLDER=${FOLDER}; export _OCI_SYNCPIPE=3; shift 2\n`;
  await writeFile(join(FOLDER, 'loop'), head + LOOP);
  await chmod(join(FOLDER, 'loop'), 0o755);
  for (const id of ids) {
    await mkdir(join(FOLDER, id));
    await run(['mkfifo', join(FOLDER, id, 'sync')]);
    await writeFile(join(FOLDER, id, 'config.json'), JSON.stringify(placed(config, root, id)));
  }
}

interface Config {
  readonly root: object;
  readonly linux: object;
}

function placed(config: object, root: string, id: string): object {
  const { root: oldRoot, linux } = config as Config;
  return {
    ...config,
    root: { ...oldRoot, path: root },
    linux: { ...linux, cgroupsPath: `/${GROUP}/${id}` },
  };
}

/** The file through which a process enters the group that is read. */
async function enterable(): Promise<string> {
  return join(await enterControlGroup(join(GROUP, 'shells')), 'cgroup.procs');
}
