import test from 'ava';
import { ParentDevices } from '#agent/net/vlan.ts';

/** A machine that has these devices, by alias, and takes every command that `fault` does not refuse. */
function machineWith(aliases: Record<string, string>, fault = '') {
  const said: string[] = [];
  const commands = {
    query: async (_netns: string | undefined, argv: readonly string[]): Promise<string> => {
      const device = argv.at(-1) as string;
      const rows = Object.entries(aliases).map(([ifname, ifalias]) => ({ ifname, ifalias }));
      if (argv.includes('vlan')) return JSON.stringify(rows);
      if (aliases[device] === undefined) throw new Error(`Device "${device}" does not exist.`);
      return JSON.stringify(rows.filter(({ ifname }) => ifname === device));
    },
    run: async (_netns: string | undefined, _tool: string, lines: readonly string[]) => {
      said.push(...lines);
      return lines.map(() => fault || undefined);
    },
  };
  return { said, parents: new ParentDevices({ mark: 'shoal-x' }, { commands }) };
}

test('parent devices: one that is there is taken as it is, a VLAN that is not is made and marked', async (t) => {
  const { said, parents } = machineWith({ eth0: '', 'eth0.20': '' });
  await parents.need('eth0');
  await parents.need('eth0.20');
  t.deepEqual(said, []);
  await parents.need('eth0.10');
  t.deepEqual(said, [
    'link add link eth0 name eth0.10 type vlan id 10',
    'link set dev eth0.10 alias shoal-x up',
  ]);
});

test('parent devices: what is neither there nor a VLAN is refused, and what the kernel refuses too', async (t) => {
  for (const device of ['eth9', 'eth0.0', 'eth0.4095', 'eth0.x'])
    await t.throwsAsync(machineWith({ eth0: '' }).parents.need(device), {
      message: new RegExp(`^invalid parent device ${device}: Device "${device}" does not exist`),
    });
  await t.throwsAsync(machineWith({}, 'Unknown device type').parents.need('eth0.10'), {
    message: 'invalid parent device eth0.10: Unknown device type',
  });
});

test('parent devices: only what was made here is taken away', async (t) => {
  const { said, parents } = machineWith({
    eth0: '',
    'eth0.10': 'shoal-x',
    'eth0.20': '',
    'eth0.30': 'shoal-y',
  });
  for (const device of ['eth0', 'eth0.20', 'eth0.30', 'gone']) await parents.release(device);
  t.deepEqual(said, []);
  await parents.release('eth0.10');
  await parents.releaseAll();
  t.deepEqual(said, ['link del dev eth0.10', 'link del dev eth0.10']);
});
