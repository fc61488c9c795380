import { ShoalError } from '#proto/base/errors.ts';
import type { LabelMap } from '#proto/types/specs.ts';

/*
 * Small parts that the conversions between the Engine API's JSON and our types are put together from. One definition
 * gives both ways, so they can't drift apart, and the compiler asks for every field of ours.
 *
 * The API's own rule is kept: where it leaves zero values out, zero and absent are one, and absent is what we store.
 * So a spec that a client reads and sends back unchanged is the same spec.
 */

/** One value of the API. */
export interface Field<T> {
  /** Undefined when it is not there. INVALID_ARGUMENT, naming `path`, when it is something else. */
  decode(json: unknown, path: string): T | undefined;
  /** Undefined: its key is left out. */
  encode(value: T | undefined): unknown;
}

/** A value that there always is. */
export interface Whole<T> extends Field<T> {
  decode(json: unknown, path: string): T;
}

type Bag = Record<string, unknown>;

function mismatch(path: string, expected: string, found: unknown): ShoalError {
  const what = path === '' ? 'the body' : path;
  return new ShoalError(
    'INVALID_ARGUMENT',
    `invalid JSON: ${what} must be ${expected}, not ${kindOf(found)}`,
  );
}

function kindOf(json: unknown): string {
  if (json === null || json === undefined) return 'nothing';
  if (Array.isArray(json)) return 'a list';
  if (typeof json === 'object') return 'an object';
  return typeof json === 'boolean' ? String(json) : `a ${typeof json}`;
}

function isAbsent(json: unknown): json is null | undefined {
  return json === null || json === undefined;
}

/** A value of one kind; `zero` is what the API leaves out. */
function plain<T>(
  expected: string,
  is: (json: unknown) => json is T,
  isZero: (value: T) => boolean,
): Field<T> {
  return {
    decode(json, path) {
      if (isAbsent(json)) return undefined;
      if (!is(json)) throw mismatch(path, expected, json);
      return isZero(json) ? undefined : json;
    },
    encode: (value) => value,
  };
}

const isText = (json: unknown): json is string => typeof json === 'string';
const isFlag = (json: unknown): json is boolean => typeof json === 'boolean';
const isNumber = (json: unknown): json is number => typeof json === 'number';
const isWhole = (json: unknown): json is number => Number.isSafeInteger(json);
const isCount = (json: unknown): json is number => Number.isSafeInteger(json) && (json as number) >= 0;
const isTextMap = (json: unknown): json is LabelMap => isBag(json) && Object.values(json).every(isText);
const isZero = (value: number): boolean => value === 0;
const never = (): boolean => false;

const WHOLE = 'a whole number below 2^53';
const COUNT = 'a count below 2^53';

export const text = plain('a string', isText, (value) => value === '');
export const flag = plain('true or false', isFlag, (value) => !value);
export const whole = plain(WHOLE, isWhole, isZero);
export const count = plain(COUNT, isCount, isZero);
export const fraction = plain('a number', isNumber, isZero);
/** Where the API tells zero from absent. */
export const givenFlag = plain('true or false', isFlag, never);
export const givenWhole = plain(WHOLE, isWhole, never);
export const givenCount = plain(COUNT, isCount, never);
export const textMap = plain('an object of strings', isTextMap, (value) => Object.keys(value).length === 0);

function isBag(json: unknown): json is Bag {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** A list; an empty one is none. */
export function list<T>(each: Field<T>): Field<readonly T[]> {
  return {
    decode(json, path) {
      if (isAbsent(json)) return undefined;
      if (!Array.isArray(json)) throw mismatch(path, 'a list', json);
      const items = json.map((item, at) => {
        const value = each.decode(item, `${path}[${at}]`);
        // In a list the empty string is a value like any other.
        if (value === undefined && item !== '') throw mismatch(`${path}[${at}]`, 'something', item);
        return value ?? (item as T);
      });
      return items.length === 0 ? undefined : items;
    },
    encode: (items) => items?.map((item) => each.encode(item)),
  };
}

export const texts = list(text);

/** One of a closed set of words. `refusal` is what Docker says to others. */
export function word<Word extends string>(
  words: readonly Word[],
  refusal: (given: string) => string,
): Field<Word> {
  return {
    decode(json, path) {
      const given = text.decode(json, path);
      const found = words.find((each) => each === given);
      if (given !== undefined && found === undefined)
        throw new ShoalError('INVALID_ARGUMENT', refusal(given));
      return found;
    },
    encode: (value) => value,
  };
}

/** Absent is stored as this value: the API would say so when asked. */
export function filled<T>(field: Field<T>, value: T): Whole<T> {
  return {
    decode: (json, path) => field.decode(json, path) ?? value,
    encode: (given) => field.encode(given ?? value),
  };
}

/** Absent is shown like this, and this is absent. */
export function shown<T>(field: Field<T>, json: unknown): Field<T> {
  return { decode: field.decode, encode: (value) => field.encode(value) ?? json };
}

/** A value in other clothes. */
export function mapped<T, Json>(
  field: Field<Json>,
  ways: { readonly decode: (json: Json, path: string) => T; readonly encode: (value: T) => Json },
): Field<T> {
  return {
    decode(json, path) {
      const inner = field.decode(json, path);
      return inner === undefined ? undefined : ways.decode(inner, path);
    },
    encode: (value) => (value === undefined ? undefined : field.encode(ways.encode(value))),
  };
}

type IsOptional<T, Key extends keyof T> = Record<never, never> extends Pick<T, Key> ? true : false;

/** For each field of ours its name in the API, and how it is written there. */
export type Keys<T> = {
  readonly [Key in keyof T]-?: readonly [
    name: string,
    field: IsOptional<T, Key> extends true ? Field<Exclude<T[Key], undefined>> : Whole<T[Key]>,
  ];
};

export interface ObjectOpts {
  /** Fields that we know of and can't honour yet, and what they are: refused rather than dropped. */
  readonly refused?: Readonly<Record<string, string>>;
  /** Fields that the API always shows, and that say nothing with us. */
  readonly constant?: Readonly<Record<string, unknown>>;
}

/** An object. Fields that nobody knows are passed over, as in the Engine. */
export function object<T extends object>(keys: Keys<T>, opts: ObjectOpts = {}): Field<T> {
  const fields = Object.entries(keys) as [string, readonly [string, Field<unknown>]][];
  return {
    decode(json, path) {
      if (isAbsent(json)) return undefined;
      if (!isBag(json)) throw mismatch(path, 'an object', json);
      refuse(json, path, opts.refused ?? {});
      const value: Bag = {};
      for (const [key, [name, field]] of fields) {
        const found = field.decode(json[name], path === '' ? name : `${path}.${name}`);
        if (found !== undefined) value[key] = found;
      }
      return value as T;
    },
    encode(value) {
      if (value === undefined) return undefined;
      const json: Bag = { ...opts.constant };
      for (const [key, [name, field]] of fields) {
        const found = field.encode((value as Bag)[key]);
        if (found !== undefined) json[name] = found;
      }
      return json;
    },
  };
}

function refuse(json: Bag, path: string, refused: Readonly<Record<string, string>>): void {
  for (const [name, what] of Object.entries(refused)) {
    if (saysNothing(json[name])) continue;
    const where = path === '' ? name : `${path}.${name}`;
    throw new ShoalError('NOT_IMPLEMENTED', `${where}: ${what} are not supported yet`);
  }
}

/** Null, zero, empty, and whatever is made of these alone. */
export function saysNothing(json: unknown): boolean {
  if (typeof json === 'object' && json !== null) return Object.values(json).every(saysNothing);
  return json === undefined || json === null || json === false || json === 0 || json === '';
}

/** A body that must be an object, and is read whole. */
export function decodeBody<T>(field: Field<T>, json: unknown): T {
  const value = field.decode(json, '');
  if (value === undefined) throw mismatch('', 'an object', json);
  return value;
}
