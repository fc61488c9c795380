import test from 'ava';
import { changeTable, replaceTable } from '#agent/net/plan/table.ts';

const CHAIN = { name: 's_web', rules: ['dnat to 10.0.1.11'] };
const ELEMENT = { set: 'vips', key: '10.0.1.200', value: 'goto s_web' };

test('a table is replaced in one script that works whether it is there or not', (t) => {
  t.is(
    replaceTable('shoal', '  set x { type ipv4_addr; }', { chains: [CHAIN], elements: [ELEMENT] }),
    [
      'table ip shoal',
      'delete table ip shoal',
      'table ip shoal {',
      '  set x { type ipv4_addr; }',
      'chain s_web {',
      'dnat to 10.0.1.11',
      '}',
      '}',
      'add element ip shoal vips { 10.0.1.200 : goto s_web }',
      '',
    ].join('\n'),
  );
});

test('changes come in an order that the kernel takes: chains, elements, and chains that nothing leads to', (t) => {
  const before = { chains: [CHAIN], elements: [ELEMENT] };
  const after = {
    chains: [{ name: 's_api', rules: [] }],
    elements: [{ ...ELEMENT, value: 'goto s_api' }],
  };
  t.deepEqual(changeTable('shoal', before, after), [
    'add chain ip shoal s_api',
    'flush chain ip shoal s_api',
    'delete element ip shoal vips { 10.0.1.200 }',
    'add element ip shoal vips { 10.0.1.200 : goto s_api }',
    'flush chain ip shoal s_web',
    'delete chain ip shoal s_web',
  ]);
});

test('each family has a table of its own, and what is in the one is not in the other', (t) => {
  const six = { name: 'c_web', rules: ['dnat to [fd00::2]:80'], family: 'ip6' as const };
  const element = { set: 'ports', key: 'tcp . 8080', value: 'goto c_web', family: 'ip6' as const };
  const both = { chains: [CHAIN, six], elements: [ELEMENT, element] };
  const script = replaceTable('shoal', '', both, 'map ports {}');
  const [four = '', second = ''] = script.split('table ip6 shoal {');
  t.notRegex(four, /c_web/);
  t.regex(
    second,
    /map ports \{\}\nchain c_web \{\n[^}]+\}\n\}\nadd element ip6 shoal ports \{ tcp . 8080 : goto c_web \}/,
  );
  t.deepEqual(changeTable('shoal', { chains: [CHAIN], elements: [ELEMENT] }, both), [
    'add chain ip6 shoal c_web',
    'flush chain ip6 shoal c_web',
    'add rule ip6 shoal c_web dnat to [fd00::2]:80',
    'add element ip6 shoal ports { tcp . 8080 : goto c_web }',
  ]);
});

test('what is alike is left alone', (t) => {
  const contents = { chains: [CHAIN], elements: [ELEMENT] };
  t.deepEqual(changeTable('shoal', contents, structuredClone(contents)), []);
});
