/**
 * System calls that Node does not have, by FFI: every prototype of the house is in this file, because a wrong one is
 * a crash, not an error. setns and unshare act on the calling thread: never `await` between leaving a namespace and
 * coming back.
 */
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const native = {
  mount: libc.func('int mount(const char*, const char*, const char*, unsigned long, const char*)'),
  umount2: libc.func('int umount2(const char*, int)'),
  mknod: libc.func('int mknod(const char*, unsigned int, unsigned long)'),
  mkfifo: libc.func('int mkfifo(const char*, unsigned int)'),
  lsetxattr: libc.func('int lsetxattr(const char*, const char*, const void*, size_t, int)'),
  lgetxattr: libc.func('int64_t lgetxattr(const char*, const char*, _Out_ void*, size_t)'),
  llistxattr: libc.func('int64_t llistxattr(const char*, _Out_ void*, size_t)'),
  lremovexattr: libc.func('int lremovexattr(const char*, const char*)'),
  flock: libc.func('int flock(int, int)'),
  unshare: libc.func('int unshare(int)'),
  setns: libc.func('int setns(int, int)'),
  socket: libc.func('int socket(int, int, int)'),
  bind: libc.func('int bind(int, const void*, uint32_t)'),
  connect: libc.func('int connect(int, const void*, uint32_t)'),
  send: libc.func('int64_t send(int, const void*, size_t, int)'),
  recv: libc.func('int64_t recv(int, _Out_ void*, size_t, int)'),
  shutdown: libc.func('int shutdown(int, int)'),
  ioctl: libc.func('int ioctl(int, unsigned long, _Inout_ void*)'),
};

/** A failed system call, with the kernel's name for it: ENOENT, EBUSY, … */
export class SyscallError extends Error {
  readonly code: string;
  readonly errno: number;

  constructor(call: string, errno: number, subject: string) {
    const code = errnoNames.get(errno) ?? `errno ${errno}`;
    super(`${call} ${subject}: ${code}`);
    this.name = 'SyscallError';
    this.code = code;
    this.errno = errno;
  }
}

const errnoNames = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

function checked(call: string, result: number, subject: string): number {
  if (result < 0) throw new SyscallError(call, koffi.errno(), subject);
  return result;
}

export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  REMOUNT: 32,
  BIND: 4096,
  REC: 16384,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
} as const;

/** mount(2). `data` is the file system's option string, at most 4,095 bytes. */
export function mount(source: string, target: string, type: string, flags: number, data = ''): void {
  checked('mount', native.mount(source, target, type, flags, data), target);
}

const MNT_DETACH = 2;

/** Unmounts now, and for those still inside it when they leave. */
export function unmountDetach(target: string): void {
  checked('umount2', native.umount2(target, MNT_DETACH), target);
}

/** mknod(2); `mode` includes the file type (S_IFCHR …). */
export function mknod(path: string, mode: number, major: number, minor: number): void {
  const device = ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
  checked('mknod', native.mknod(path, mode, device), path);
}

export function mkfifo(path: string, mode: number): void {
  checked('mkfifo', native.mkfifo(path, mode), path);
}

/** Sets an extended attribute of the file itself, not of what a link points at. */
export function setXattr(path: string, name: string, value: Uint8Array): void {
  checked('lsetxattr', native.lsetxattr(path, name, value, value.length, 0), `${path} ${name}`);
}

/** Undefined when the file has no such attribute, or its file system none at all. */
export function getXattr(path: string, name: string): Buffer | undefined {
  const value = Buffer.alloc(65_536);
  const length = Number(native.lgetxattr(path, name, value, value.length));
  if (length >= 0) return value.subarray(0, length);
  const errno = koffi.errno();
  if (errno === constants.errno.ENODATA || errno === constants.errno.EOPNOTSUPP) return undefined;
  throw new SyscallError('lgetxattr', errno, `${path} ${name}`);
}

export function listXattrs(path: string): string[] {
  const names = Buffer.alloc(65_536);
  const length = Number(native.llistxattr(path, names, names.length));
  if (length < 0) {
    const errno = koffi.errno();
    if (errno === constants.errno.EOPNOTSUPP) return [];
    throw new SyscallError('llistxattr', errno, path);
  }
  return names
    .toString('latin1', 0, length)
    .split('\0')
    .filter((name) => name !== '');
}

export function removeXattr(path: string, name: string): void {
  checked('lremovexattr', native.lremovexattr(path, name), `${path} ${name}`);
}

const LOCK_EX = 2;
const LOCK_NB = 4;

/** Takes an exclusive lock on an open file; false when another process holds it. Ends with the descriptor. */
export function tryLock(fd: number): boolean {
  if (native.flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const errno = koffi.errno();
  if (errno === constants.errno.EWOULDBLOCK) return false;
  throw new SyscallError('flock', errno, `descriptor ${fd}`);
}

const CLONE_NEWNET = 0x40000000;

/** Runs `work` synchronously in another network namespace (a path such as /proc/PID/ns/net), and comes back. */
export function inNetworkNamespace<T>(path: string, work: () => T): T {
  const target = openSync(path, 'r');
  try {
    return awayFromHome(() => checked('setns', native.setns(target, CLONE_NEWNET), path), work);
  } finally {
    closeSync(target);
  }
}

/** Runs `work` synchronously in a new network namespace, and comes back; it lives on while something holds it. */
export function inNewNetworkNamespace<T>(work: () => T): T {
  return awayFromHome(() => checked('unshare', native.unshare(CLONE_NEWNET), 'network namespace'), work);
}

function awayFromHome<T>(leave: () => void, work: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    leave();
    try {
      return work();
    } finally {
      checked('setns', native.setns(home, CLONE_NEWNET), 'own network namespace');
    }
  } finally {
    closeSync(home);
  }
}

/** Raw sockets for what Node's net does not speak (SOCK_SEQPACKET, netlink). Non-blocking unless said. */
export const rawSocket = {
  open(domain: number, type: number, protocol: number): number {
    return checked('socket', native.socket(domain, type, protocol), `domain ${domain}`);
  },
  bind(fd: number, address: Uint8Array): void {
    checked('bind', native.bind(fd, address, address.length), `descriptor ${fd}`);
  },
  connect(fd: number, address: Uint8Array): void {
    checked('connect', native.connect(fd, address, address.length), `descriptor ${fd}`);
  },
  /** Bytes sent; throws SyscallError EAGAIN when it would block. */
  send(fd: number, data: Uint8Array): number {
    return checked('send', Number(native.send(fd, data, data.length, MSG_NOSIGNAL)), `descriptor ${fd}`);
  },
  /** Bytes received, 0 at the end; undefined when there is nothing yet. */
  receive(fd: number, into: Uint8Array): number | undefined {
    const length = Number(native.recv(fd, into, into.length, MSG_DONTWAIT));
    if (length >= 0) return length;
    const errno = koffi.errno();
    if (errno === constants.errno.EAGAIN) return undefined;
    throw new SyscallError('recv', errno, `descriptor ${fd}`);
  },
  shutdownWrite(fd: number): void {
    checked('shutdown', native.shutdown(fd, 1), `descriptor ${fd}`);
  },
} as const;

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** ioctl(2) with a buffer that the kernel may read and write. */
export function ioctl(fd: number, request: number, argument: Uint8Array): void {
  checked('ioctl', native.ioctl(fd, request, argument), `descriptor ${fd} request ${request}`);
}
