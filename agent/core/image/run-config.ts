import { ShoalError } from '#proto/base/errors.ts';
import type { RunConfig } from './oci.ts';

/*
 * How a container of an image runs, as its author has it. Checked once, when it comes in: what is here has the shape that
 * the types say, so that nobody who makes a container of it has to look again.
 */

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isNumber: Check = (value) => Number.isSafeInteger(value);
const isFlag: Check = (value) => typeof value === 'boolean';
const isMap: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText);
const isTextMap: Check = (value) => isMap(value) && Object.values(value as object).every(isText);

interface Rule {
  readonly check: Check;
  readonly expected: string;
}

const TEXT: Rule = { check: isText, expected: 'a string' };
const NUMBER: Rule = { check: isNumber, expected: 'a whole number' };
const FLAG: Rule = { check: isFlag, expected: 'true or false' };
const TEXTS: Rule = { check: isTexts, expected: 'a list of strings' };
const SET: Rule = { check: isMap, expected: 'an object' };
const TEXT_MAP: Rule = { check: isTextMap, expected: 'an object of strings' };

const RULES: Readonly<Record<string, Rule>> = {
  User: TEXT,
  WorkingDir: TEXT,
  StopSignal: TEXT,
  StopTimeout: NUMBER,
  ArgsEscaped: FLAG,
  Env: TEXTS,
  Cmd: TEXTS,
  Entrypoint: TEXTS,
  OnBuild: TEXTS,
  Shell: TEXTS,
  ExposedPorts: SET,
  Volumes: SET,
  Labels: TEXT_MAP,
  Healthcheck: SET,
};

const HEALTH_RULES: Readonly<Record<string, Rule>> = {
  Test: TEXTS,
  Interval: NUMBER,
  Timeout: NUMBER,
  StartPeriod: NUMBER,
  StartInterval: NUMBER,
  Retries: NUMBER,
};

/** Checks the `config` of an image config; null says as little as nothing at all. INVALID_ARGUMENT with what is wrong. */
export function parseRunConfig(value: unknown): RunConfig {
  if (value === undefined || value === null) return {};
  if (!isMap(value)) throw invalid('config', SET);
  const given = withoutNulls(value as Readonly<Record<string, unknown>>);
  checkAll(given, RULES, 'config.');
  const health = given['Healthcheck'];
  if (health === undefined) return given as RunConfig;
  const known = withoutNulls(health as Readonly<Record<string, unknown>>);
  checkAll(known, HEALTH_RULES, 'config.Healthcheck.');
  return { ...given, Healthcheck: known } as RunConfig;
}

function withoutNulls(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
}

function checkAll(
  given: Readonly<Record<string, unknown>>,
  rules: Readonly<Record<string, Rule>>,
  where: string,
): void {
  for (const [name, rule] of Object.entries(rules)) {
    if (given[name] !== undefined && !rule.check(given[name])) throw invalid(where + name, rule);
  }
}

function invalid(name: string, { expected }: Rule): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', `image config: ${name} must be ${expected}`);
}
