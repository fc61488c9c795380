import { spawn } from 'node:child_process';
import { once } from 'node:events';

const PROGRAM = `require('net').createServer().listen(Number(process.argv[1]), '0.0.0.0', () => console.log('ready'))`;

/** A process of the machine that has a TCP port of this network namespace, until it is disposed of. */
export async function foreignListener(namespace: string, port: number): Promise<AsyncDisposable> {
  const command = [`--net=/run/netns/${namespace}`, process.execPath, '-e', PROGRAM, String(port)];
  const child = spawn('nsenter', command, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  await Promise.race([once(child.stdout, 'data'), ended]);
  if (child.exitCode !== null) throw new Error(`nobody can listen on port ${port} of ${namespace}`);
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
