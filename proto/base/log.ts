export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Structured logging, handed down: constant messages, changing values in fields.
 * Errors go in the field `err`. Secrets, tokens and keys never go in at all.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose lines carry `module`, the name of the part that speaks. */
  child(module: string): Log;
}

const silence = (): void => undefined;

/** Says nothing; for tests and for tools that print their own output. */
export const nullLog: Log = {
  debug: silence,
  info: silence,
  warn: silence,
  error: silence,
  child: () => nullLog,
};
