import test from 'ava';
import { fits, fitsLabels, flagFilter, lacksLabels, parseFilters, parseMoment } from '#proto/http/filters.ts';

const parse = (filters: unknown, keys = ['label', 'name', 'dangling']) =>
  parseFilters(new URLSearchParams({ filters: JSON.stringify(filters) }), keys);

test('filters: lists and the older maps mean the same', (t) => {
  t.deepEqual(parse({ name: ['a', 'b'] }).get('name'), ['a', 'b']);
  t.deepEqual(parse({ name: { a: true, b: false } }).get('name'), ['a']);
  t.is(parseFilters(new URLSearchParams(), []).size, 0);
});

test('filters: what an object does not have, and what is none, is refused', (t) => {
  t.throws(() => parse({ nosuch: ['x'] }), { message: "invalid filter 'nosuch'" });
  t.throws(() => parseFilters(new URLSearchParams({ filters: '[' }), []), { message: /invalid filter/ });
  t.throws(() => parse({ name: 'x' }), { message: /invalid filter/ });
});

test('filters: values of a key are alternatives, labels all hold', (t) => {
  const filters = parse({ name: ['a', 'b'], label: ['x', 'y=1'] });
  t.true(fits(filters, 'name', (value) => value === 'b'));
  t.false(fits(filters, 'name', (value) => value === 'c'));
  t.true(fits(filters, 'absent', () => false));
  t.true(fitsLabels(filters, { x: '', y: '1' }));
  t.false(fitsLabels(filters, { x: '', y: '2' }));
  t.false(fitsLabels(filters, null));
  const without = parse({ 'label!': ['x=1'] }, ['label!']);
  t.true(lacksLabels(without, { x: '2' }));
  t.false(lacksLabels(without, { x: '1' }));
});

test('filters: flags', (t) => {
  t.true(flagFilter(parse({ dangling: ['true'] }), 'dangling'));
  t.false(flagFilter(parse({ dangling: ['0'] }), 'dangling'));
  t.is(flagFilter(parse({}), 'dangling'), undefined);
  t.throws(() => flagFilter(parse({ dangling: ['maybe'] }), 'dangling'));
});

test('moments: seconds, durations before now, and dates', (t) => {
  t.is(parseMoment('1700000000.5', 0), 1_700_000_000_500);
  t.is(parseMoment('1h30m', 10_000_000), 10_000_000 - 5_400_000);
  t.is(parseMoment('2026-01-01T00:00:00Z', 0), Date.UTC(2026, 0, 1));
  t.throws(() => parseMoment('soon', 0), { message: /failed to parse/ });
});
