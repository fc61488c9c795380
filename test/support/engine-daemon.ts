/*
 * An engine in a process of its own, to be killed: `node engine-daemon.ts FOLDER`. It says `ready` when its socket
 * (FOLDER/api.sock) can be used. With `busy` as a second word it starts, stops and removes containers without end.
 */
import { join } from 'node:path';
import { EngineLab } from './engine-lab.ts';
import { serveEngine } from './engine-server.ts';

const [folder = '', mode = ''] = process.argv.slice(2);
const lab = await EngineLab.at(folder);
await serveEngine(lab.engine, [{ kind: 'unix', path: join(folder, 'api.sock') }]);
console.log('ready');
if (mode === 'busy') await Promise.all([work(), work(), work()]);

async function work(): Promise<void> {
  const { containers } = lab.engine;
  for (let round = 0; ; round += 1) {
    const id = await lab.run(
      { Cmd: ['sleep', '1000'], Volumes: { '/anonymous': {} } },
      { NetworkMode: 'bridge' },
    );
    if (round % 3 === 0) continue;
    await containers.stop(id, { graceMs: 0 });
    if (round % 3 === 1) await containers.remove(id, { volumes: true });
    console.log(`round ${round}`);
  }
}
