import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'ava';
import { find } from '#deploy/local/cluster.ts';
import { hostAddress } from '#deploy/local/lan.ts';
import { withCluster } from '#test/support/e2e.ts';
import { SmallRegistry } from '#test/support/small-registry.ts';
import { waitFor } from '#test/support/wait-for.ts';
import { imageRoot } from '../bench/engines/image.ts';

const REGISTRY_PORT = 5000;
/** Where the machine itself is, the nodes have to be: a registry without TLS is talked to on loopback alone. */
const RELAY = `
const [to, port] = process.argv.slice(1);
require('node:net').createServer((from) => {
  const on = require('node:net').connect(port, to);
  const end = () => { from.destroy(); on.destroy(); };
  from.on('error', end).on('close', end).pipe(on).on('error', end).on('close', end).pipe(from);
}).listen(${REGISTRY_PORT}, '127.0.0.1', () => console.log('listening'));
`;

test('roll-out: a service on every node has its image fetched from the registry once', async (t) => {
  await withCluster(t, { managers: 1, workers: 4 }, async (cluster) => {
    const local = await find(cluster.nodes[0]?.cluster ?? '');
    const host = local ? hostAddress(local.lan) : '';
    await using stack = new AsyncDisposableStack();
    const registry = stack.use(await SmallRegistry.open(host, await imageRoot()));
    for (const { name } of cluster.nodes) stack.defer(await relay(cluster.namespace(name), registry.address));
    const image = `127.0.0.1:${REGISTRY_PORT}/some/image:latest`;
    await cluster.docker(
      ...['m1', 'service', 'create', '-q', '-d', '--name', 'everywhere', '--mode', 'global'],
      ...['--stop-grace-period', '1s', image, '/bin/obedient'],
    );
    await waitFor('it runs everywhere', async () => {
      const states = await cluster.lines(
        'm1',
        'service',
        'ps',
        '--format',
        '{{.CurrentState}}',
        'everywhere',
      );
      return states.filter((state) => state.startsWith('Running')).length === cluster.nodes.length;
    });
    t.is(registry.fetched.get(registry.layer), 1);
    t.is(registry.fetched.get(registry.digest), 1);
    await cluster.docker('m1', 'service', 'rm', 'everywhere');
  });
});

/** Brings connections to the registry out of a namespace; gives back what ends that. */
async function relay(namespace: string, address: string): Promise<() => Promise<void>> {
  const [host = '', port = ''] = address.split(':');
  const inside = [`--net=/run/netns/${namespace}`, process.execPath, '-e', RELAY, host, port];
  const child = spawn('nsenter', inside, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return () => ended(child);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
