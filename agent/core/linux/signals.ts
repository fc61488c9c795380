import { constants } from 'node:os';
import { ShoalError } from '#proto/base/errors.ts';

const SIGRTMIN = 34;
const SIGRTMAX = 64;

/** The number of a signal as users write it: `SIGTERM`, `term`, `15`, `RTMIN+3`. INVALID_ARGUMENT otherwise. */
export function signalNumber(signal: string): number {
  const name = signal.toUpperCase().replace(/^SIG/, '');
  if (/^\d+$/.test(name)) {
    const number = Number(name);
    if (number >= 1 && number <= SIGRTMAX) return number;
    throw invalid(signal);
  }
  const realTime = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  if (realTime) return realTimeSignal(signal, realTime);
  const number = (constants.signals as Readonly<Record<string, number>>)[`SIG${name}`];
  if (number === undefined) throw invalid(signal);
  return number;
}

function realTimeSignal(signal: string, [, end, sign, offset]: RegExpExecArray): number {
  const number = (end === 'MIN' ? SIGRTMIN : SIGRTMAX) + Number(`${sign ?? ''}${offset ?? 0}`);
  if (number < SIGRTMIN || number > SIGRTMAX) throw invalid(signal);
  return number;
}

function invalid(signal: string): ShoalError {
  return new ShoalError('INVALID_ARGUMENT', `invalid signal: ${signal}`);
}
