import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Operation } from './linearizability.ts';
import type { KeyInput, KeyOutput, RegisterInput, RegisterOutput } from './models.ts';

/* Reads the recorded histories in test/data/porcupine. */

const DATA = join(import.meta.dirname, '../../data/porcupine');

export type RegisterOperation = Operation<RegisterInput<number>, RegisterOutput<number>>;
export type KeyOperation = Operation<KeyInput, KeyOutput> & { readonly key: string };

/** The numbers of the Jepsen logs that are linearizable. */
export function linearizableLogs(): ReadonlySet<number> {
  const verdicts = JSON.parse(readFileSync(join(DATA, 'verdicts.json'), 'utf8')) as {
    linearizable: number[];
  };
  return new Set(verdicts.linearizable);
}

function linesOf(path: string): string[] {
  return readFileSync(join(DATA, path), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}

const JEPSEN_LINE = /^INFO\s+jepsen\.util - (\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(.*)$/;

/** What happened to the register of one of Jepsen's runs against etcd. */
export function readJepsenLog(number: number): RegisterOperation[] {
  const operations: RegisterOperation[] = [];
  const open = new Map<string, RegisterOperation>();
  for (const [at, line] of linesOf(`jepsen/etcd_${String(number).padStart(3, '0')}.txt`).entries()) {
    const [, client = '', type, kind = '', rest = ''] = JEPSEN_LINE.exec(line) ?? [];
    if (type === 'invoke') open.set(client, { input: registerInput(kind, rest), calledAt: at });
    const called = open.get(client);
    if (called === undefined || (type !== 'ok' && type !== 'fail')) continue;
    open.delete(client);
    // A read that failed saw nothing; an exchange that failed found another value.
    if (kind === 'read' && type === 'fail') continue;
    operations.push({ ...called, returnedAt: at, output: registerOutput(kind, type, rest) });
  }
  return [...operations, ...open.values()];
}

function registerInput(kind: string, rest: string): RegisterInput<number> {
  const [first = 0, second = 0] = (rest.match(/\d+/g) ?? []).map(Number);
  if (kind === 'read') return { kind };
  if (kind === 'write') return { kind, value: first };
  return { kind: 'cas', from: first, to: second };
}

function registerOutput(kind: string, type: string, rest: string): RegisterOutput<number> {
  if (kind === 'read') return { value: rest === 'nil' ? null : Number(rest) };
  return kind === 'cas' ? { made: type === 'ok' } : {};
}

const KEY_LINE = /^\{:process (\d+), :type :(\w+), :f :(\w+), :key "(.*)", :value (?:nil|"(.*)")\}$/;

/** What happened to a key-value store. */
export function readKeyLog(name: string): KeyOperation[] {
  const operations: KeyOperation[] = [];
  const open = new Map<string, KeyOperation>();
  for (const [at, line] of linesOf(`kv/${name}.txt`).entries()) {
    const [, client = '', type, kind, key = '', value = ''] = KEY_LINE.exec(line) ?? [];
    if (type === 'invoke') {
      const input = (kind === 'get' ? { kind } : { kind, value }) as KeyInput;
      open.set(client, { key, input, calledAt: at });
      continue;
    }
    operations.push({
      ...(open.get(client) as KeyOperation),
      returnedAt: at,
      output: kind === 'get' ? { value } : {},
    });
    open.delete(client);
  }
  return [...operations, ...open.values()];
}
