import { readFileSync } from 'node:fs';
import test from 'ava';
import { giveBackMemory, parseDroppable } from '#agent/core/linux/memory.ts';

function mapping(head: string, anonymousKb: number): string {
  return `${head}\nSize: 8 kB\nRss: 8 kB\nAnonymous:             ${anonymousKb} kB\nSwap: 0 kB`;
}

test('memory: only unchanged pages of its own program’s file are let go', (t) => {
  const smaps = [
    mapping('00400000-00402000 r-xp 00001000 fe:00 12                         /usr/bin/program', 0),
    mapping('00402000-00403000 r--p 00003000 fe:00 12                         /usr/bin/program', 0),
    mapping('00403000-00404000 r--p 00004000 fe:00 12                         /usr/bin/program', 4),
    mapping('00404000-00405000 rw-p 00005000 fe:00 12                         /usr/bin/program', 0),
    mapping('00404800-00405000 r-xp 00005000 fe:00 15                         /usr/lib/library.so', 0),
    mapping('00405000-00406000 rw-s 00000000 fe:00 13                         /var/lib/file', 0),
    mapping('00406000-00407000 r-xp 00000000 00:00 0                          [vdso]', 0),
    mapping('00407000-00408000 r--p 00000000 00:00 0 ', 0),
  ].join('\n');
  t.deepEqual(parseDroppable(smaps, '/usr/bin/program'), [
    { start: 0x400000, bytes: 0x2000 },
    { start: 0x402000, bytes: 0x1000 },
  ]);
});

test('memory: a process that gave back what it can goes on as before, with less of its program in memory', (t) => {
  const before = programKb();
  giveBackMemory();
  t.true(programKb() < before / 2);
  t.deepEqual(JSON.parse(JSON.stringify({ still: ['here'] })), { still: ['here'] });
});

/** How much of its program's file is mapped into memory now. */
function programKb(): number {
  const line = /^RssFile:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1]);
}
