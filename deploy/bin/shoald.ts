import { messageOf } from '#proto/base/errors.ts';
import { runDaemon } from '../node/daemon.ts';
import { readFlags } from '../node/flags.ts';
import { removeEverything } from '../node/remove-everything.ts';

try {
  const opts = readFlags(process.argv.slice(2));
  await (opts.removeEverything ? removeEverything(opts) : runDaemon(opts));
  process.exit(0);
} catch (error) {
  console.error(`shoald: ${messageOf(error)}`);
  process.exit(1);
}
