import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { openEngine } from '#agent/core/open-engine.ts';
import { systemClock } from '#proto/base/clock.ts';
import { nullLog } from '#proto/base/log.ts';
import { systemRandom } from '#proto/base/random.ts';
import { EngineLab, traces } from '#test/support/engine-lab.ts';

/** crun, that refuses to make a container as long as there is the file. */
function refusingCrun(file: string): string {
  const refusal =
    '{"msg":"cgroups in hybrid mode not supported, drop all controllers from cgroupv2","level":"error"}';
  return `#!/bin/sh
case "$*" in
  *--pid-file*)
    if [ -e ${file} ]; then
      rm ${file}
      for word in "$@"; do case "$word" in --log=*) echo '${refusal}' >"\${word#--log=}" ;; esac; done
      echo 'cgroups in hybrid mode not supported' >&2
      exit 1
    fi ;;
esac
exec /usr/bin/crun "$@"
`;
}

test('hybrid control groups: when another program brings them back, containers start all the same', async (t) => {
  const lab = await EngineLab.open('hybrid');
  try {
    await lab.engine[Symbol.asyncDispose]();
    const [crun, refused] = [join(lab.folder, 'crun'), join(lab.folder, 'refused')];
    writeFileSync(crun, refusingCrun(refused), { mode: 0o755 });
    lab.engine = await openEngine(
      {
        ...{ dataRoot: join(lab.folder, 'data'), execRoot: join(lab.folder, 'run') },
        ...{ instance: lab.instance, spawnWorkers: 1, crun },
      },
      { clock: systemClock, random: systemRandom, log: nullLog, images: lab.images, net: lab.network },
    );
    writeFileSync(refused, '');
    t.is((await lab.shell('echo here')).out, 'here\n');
    t.false(existsSync(refused), 'it was refused once');
  } finally {
    await lab[Symbol.asyncDispose]();
    rmSync(lab.folder, { recursive: true, force: true });
  }
  t.deepEqual(traces(lab.instance), []);
});
