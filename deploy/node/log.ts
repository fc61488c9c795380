import { type Logger, pino, stdTimeFunctions } from 'pino';
import type { Log, LogFields } from '#proto/base/log.ts';
import type { LogLevel } from './flags.ts';

/** The daemon's log: one JSON object a line on standard error, written at once, so that a crash loses none. */
export function openLog(level: LogLevel): Log {
  const destination = pino.destination({ dest: 2, sync: true });
  const opts = { level, base: null, timestamp: stdTimeFunctions.isoTime, errorKey: 'err' };
  return logOver(pino(opts, destination));
}

function logOver(logger: Logger): Log {
  return {
    debug: (message: string, fields?: LogFields) => logger.debug(fields ?? {}, message),
    info: (message: string, fields?: LogFields) => logger.info(fields ?? {}, message),
    warn: (message: string, fields?: LogFields) => logger.warn(fields ?? {}, message),
    error: (message: string, fields?: LogFields) => logger.error(fields ?? {}, message),
    child: (module: string) => logOver(logger.child({ module })),
  };
}
