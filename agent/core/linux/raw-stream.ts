import { Socket } from 'node:net';

interface PipeBinding {
  readonly Pipe: new (type: number) => { open(fd: number): void };
  readonly constants: { readonly SOCKET: number };
}

/**
 * A stream over any descriptor that can be polled, which it then owns: packet sockets, terminals. node:net refuses
 * them by their type ("Unsupported fd type"), though libuv reads and writes them like any other; its own pipe handle
 * does not ask.
 */
export function streamOf(fd: number): Socket {
  const binding = (process as unknown as { binding(name: string): PipeBinding }).binding('pipe_wrap');
  const handle = new binding.Pipe(binding.constants.SOCKET);
  handle.open(fd);
  const opts = { handle, readable: true, writable: true, allowHalfOpen: true };
  return new Socket(opts as unknown as ConstructorParameters<typeof Socket>[0]);
}
