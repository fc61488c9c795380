import test from 'ava';
import { type AccountModules, remapFor } from '#agent/core/linux/remap-user.ts';

/** A machine with these files in /etc; programs are noted, and `useradd` and `usermod` do what they should. */
function machine(files: Record<string, string>): AccountModules & { readonly ran: string[] } {
  const ran: string[] = [];
  return {
    ran,
    read: (name) => {
      const text = files[name];
      if (text === undefined) throw new Error(`no ${name}`);
      return text;
    },
    run: ([program, ...args]) => {
      ran.push([program, ...args].join(' '));
      const name = args.at(-1) ?? '';
      if (program === 'useradd')
        for (const file of ['passwd', 'group']) files[file] += `${name}:x:990:990::/:/bin/false\n`;
      const [first = 0, last = 0] = (args[1] ?? '').split('-').map(Number);
      if (args[0] === '--add-subuids') files['subuid'] += `${name}:${first}:${last - first + 1}\n`;
      if (args[0] === '--add-subgids') files['subgid'] += `${name}:${first}:${last - first + 1}\n`;
    },
  };
}

const FILES = {
  passwd: 'root:x:0:0::/root:/bin/sh\nbox:x:1000:1001::/:/bin/sh\nlone:x:1002:1002::/:/bin/sh\n',
  group: 'root:x:0:\nbox:x:1000:\nboxes:x:1001:\n',
  subuid: 'box:200000:65536\n',
  subgid: 'box:300000:65536\nboxes:400000:65536\n',
};

const firsts = (flag: string, files: Record<string, string> = FILES): (number | undefined)[] => {
  const maps = remapFor(flag, machine({ ...files }));
  return [maps?.users[0]?.outside, maps?.groups[0]?.outside];
};

test('a user and a group are found by name or number; a user alone stands for the group as well', (t) => {
  t.deepEqual(firsts('box'), [200_000, 300_000]);
  t.deepEqual(firsts('1000'), [200_000, 300_000]);
  t.deepEqual(firsts('box:box'), [200_000, 300_000]);
  t.deepEqual(firsts('1000:1000'), [200_000, 300_000]);
});

test('a group may have ranges of its own where the user has none', (t) => {
  t.deepEqual(firsts('box:boxes', { ...FILES, subgid: 'boxes:400000:65536\n' }), [200_000, 400_000]);
});

test('root can not be remapped with itself', (t) => {
  t.is(remapFor('root', machine({ ...FILES })), undefined);
  t.is(remapFor('0:0', machine({ ...FILES })), undefined);
});

test('what is not there is refused in the words of dockerd', (t) => {
  const refused = (flag: string, files = FILES): string => {
    try {
      remapFor(flag, machine({ ...files }));
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };
  t.is(refused('a:b:c'), 'Invalid user/group specification in --userns-remap: "a:b:c"');
  t.regex(refused('nobody'), /^Error during uid lookup for "nobody"/);
  t.regex(refused('77'), /^Uid 77 has no entry in \/etc\/passwd/);
  t.regex(refused('lone'), /^Error during gid lookup for "lone"/);
  t.regex(refused('box:77'), /^Gid 77 has no entry in \/etc\/group/);
  const none = { ...FILES, subuid: '' };
  t.is(refused('box', none), `Can't create ID mappings: no subuid ranges found for user "box"`);
  const noGroup = { ...FILES, subgid: '' };
  t.is(refused('box', noGroup), `Can't create ID mappings: no subgid ranges found for group "box"`);
});

test('default: the user dockremap is made, with the next ids that nobody has', (t) => {
  const files: Record<string, string> = { ...FILES };
  const given = machine(files);
  const maps = remapFor('default', given);
  t.is(maps?.users[0]?.outside, 265_536);
  t.is(maps?.groups[0]?.outside, 465_536);
  t.deepEqual(given.ran, [
    'useradd --system --user-group --no-create-home --shell /bin/false dockremap',
    'usermod --add-subuids 265536-331071 dockremap',
    'usermod --add-subgids 465536-531071 dockremap',
  ]);
});

test('default: a user dockremap that is there is used as it is', (t) => {
  const account = 'dockremap:x:990:990::/:/bin/false\n';
  const given = machine({
    passwd: account,
    group: account,
    subuid: 'dockremap:100000:65536\n',
    subgid: 'dockremap:100000:65536\n',
  });
  t.is(remapFor('default', given)?.users[0]?.outside, 100_000);
  t.deepEqual(given.ran, []);
});

test('default: the first ids of all are 100000 and up, with or without a file to look at', (t) => {
  const given = machine({ passwd: '', group: '', subuid: '', subgid: '' });
  t.is(remapFor('default', given)?.users[0]?.outside, 100_000);
});
