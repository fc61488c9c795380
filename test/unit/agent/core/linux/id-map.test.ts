import test from 'ava';
import { idCount, insideId, mapFile, outsideId, subordinateIds } from '#agent/core/linux/id-map.ts';

const FILE = '/etc/subuid';
const MAP = subordinateIds('box:300000:1000\nbox:200000:10\n', FILE, ['box']);

test('ranges follow each other from 0 on, the lowest of the machine first', (t) => {
  t.deepEqual(MAP, [
    { inside: 0, outside: 200_000, length: 10 },
    { inside: 10, outside: 300_000, length: 1000 },
  ]);
  t.is(idCount(MAP), 1010);
  t.is(mapFile(MAP), '0 200000 10\n10 300000 1000\n');
});

test('an id is found both ways, across ranges', (t) => {
  for (const [inside, outside] of [
    [0, 200_000],
    [9, 200_009],
    [10, 300_000],
    [1009, 300_999],
  ] as const) {
    t.is(outsideId(MAP, inside), outside);
    t.is(insideId(MAP, outside), inside);
  }
});

test('what has no id in the namespace is nobody there, and what has none outside can not be given away', (t) => {
  t.is(insideId(MAP, 0), 65_534);
  t.is(insideId(MAP, 200_010), 65_534);
  t.is(outsideId(MAP, 1010), undefined);
});

test('only the ranges of these names count, and those of ALL; comments and empty lines do not', (t) => {
  const text = '# who\n\nother:100000:5\n1000:200000:5\nALL:400000:5\n';
  t.deepEqual(
    subordinateIds(text, FILE, ['box', '1000']).map(({ outside }) => outside),
    [200_000, 400_000],
  );
  t.deepEqual(subordinateIds('', FILE, ['box']), []);
});

test('a file that can not be understood is refused by name', (t) => {
  for (const line of ['box:1', 'box', 'box:1:2:3'])
    t.throws(() => subordinateIds(line, FILE, ['box']), { message: /Format not correct for \/etc\/subuid/ });
  for (const line of ['box:x:1', 'box:1:-1', 'box:1:0', 'box:1:1e3'])
    t.throws(() => subordinateIds(line, FILE, ['box']), { message: /conversion failed.*\/etc\/subuid/ });
});
