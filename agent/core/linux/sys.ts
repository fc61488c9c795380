/**
 * System calls that Node does not have, by FFI: every prototype of the house is in this file, because a wrong one is
 * a crash, not an error. setns and unshare act on the calling thread: never `await` between leaving a namespace and
 * coming back.
 */
import { closeSync, constants as files, openSync } from 'node:fs';
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
  setsockopt: libc.func('int setsockopt(int, int, int, const void*, uint32_t)'),
  connect: libc.func('int connect(int, const void*, uint32_t)'),
  send: libc.func('int64_t send(int, const void*, size_t, int)'),
  recv: libc.func('int64_t recv(int, _Out_ void*, size_t, int)'),
  shutdown: libc.func('int shutdown(int, int)'),
  ioctl: libc.func('int ioctl(int, unsigned long, _Inout_ void*)'),
  listen: libc.func('int listen(int, int)'),
  accept4: libc.func('int accept4(int, void*, void*, int)'),
  recvmsg: libc.func('int64_t recvmsg(int, _Inout_ void*, int)'),
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

/** The same by another thread: an overlay makes files in its layers before it is there. */
export async function mountAside(
  source: string,
  target: string,
  type: string,
  flags: number,
  data = '',
): Promise<void> {
  await aside('mount', target, (done) => native.mount.async(source, target, type, flags, data, done));
}

type Done = (error: Error | null, result: number) => void;

function aside(call: string, subject: string, begin: (done: Done) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    begin((error, result) => {
      if (error) reject(error);
      else if (result < 0) reject(new SyscallError(call, koffi.errno(), subject));
      else resolve(Number(result));
    });
  });
}

const MNT_DETACH = 2;

/** Unmounts now, and for those still inside it when they leave. */
export function unmountDetach(target: string): void {
  checked('umount2', native.umount2(target, MNT_DETACH), target);
}

/** The same by another thread: the kernel waits until nobody on another processor looks at the mount. */
export async function unmountDetachAside(target: string): Promise<void> {
  await aside('umount2', target, (done) => native.umount2.async(target, MNT_DETACH, done));
}

/** A path as text, or as bytes where a name may be no UTF-8. */
export type SysPath = string | Buffer;

function cPath(path: SysPath): string | Buffer {
  return typeof path === 'string' ? path : Buffer.concat([path, Buffer.alloc(1)]);
}

/** mknod(2); `mode` includes the file type (S_IFCHR …). */
export function mknod(path: SysPath, mode: number, major: number, minor: number): void {
  const device = ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
  checked('mknod', native.mknod(cPath(path), mode, device), path.toString());
}

export function mkfifo(path: SysPath, mode: number): void {
  checked('mkfifo', native.mkfifo(cPath(path), mode), path.toString());
}

/** Sets an extended attribute of the file itself, not of what a link points at. */
export function setXattr(path: SysPath, name: string, value: Uint8Array): void {
  checked('lsetxattr', native.lsetxattr(cPath(path), name, value, value.length, 0), `${path} ${name}`);
}

/** Undefined when the file has no such attribute, or its file system none at all. */
export function getXattr(path: SysPath, name: string): Buffer | undefined {
  const value = Buffer.alloc(65_536);
  const length = Number(native.lgetxattr(cPath(path), name, value, value.length));
  if (length >= 0) return value.subarray(0, length);
  const errno = koffi.errno();
  if (errno === constants.errno.ENODATA || errno === constants.errno.EOPNOTSUPP) return undefined;
  throw new SyscallError('lgetxattr', errno, `${path} ${name}`);
}

export function listXattrs(path: SysPath): string[] {
  const names = Buffer.alloc(65_536);
  const length = Number(native.llistxattr(cPath(path), names, names.length));
  if (length < 0) {
    const errno = koffi.errno();
    if (errno === constants.errno.EOPNOTSUPP) return [];
    throw new SyscallError('llistxattr', errno, path.toString());
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
  setOption(fd: number, level: number, option: number, value: number): void {
    const bytes = new Uint8Array(Int32Array.of(value).buffer);
    checked('setsockopt', native.setsockopt(fd, level, option, bytes, 4), `descriptor ${fd}`);
  },
  connect(fd: number, address: Uint8Array): void {
    checked('connect', native.connect(fd, address, address.length), `descriptor ${fd}`);
  },
  /** Bytes sent; throws SyscallError EAGAIN when it would block. */
  send(fd: number, data: Uint8Array): number {
    return checked('send', Number(native.send(fd, data, data.length, MSG_NOSIGNAL)), `descriptor ${fd}`);
  },
  /** The same by another thread: for what the kernel takes its time to do in the call. */
  sendAside(fd: number, data: Uint8Array): Promise<number> {
    return aside('send', `descriptor ${fd}`, (done) =>
      native.send.async(fd, data, data.length, MSG_NOSIGNAL, done),
    );
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
const MSG_CMSG_CLOEXEC = 0x40000000;

export const SOCKETS = {
  AF_UNIX: 1,
  STREAM: 1,
  SEQPACKET: 5,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
} as const;

/** `struct sockaddr_un` of a path of at most 107 bytes; longer ones go through /proc/self/fd of their folder. */
export function unixAddress(path: string): Buffer {
  const address = Buffer.alloc(2 + Buffer.byteLength(path) + 1);
  if (address.length > 110) throw new SyscallError('connect', constants.errno.ENAMETOOLONG, path);
  address.writeUInt16LE(SOCKETS.AF_UNIX, 0);
  address.write(path, 2);
  return address;
}

/** Listens on a bound unix socket. */
export function listenOn(fd: number): void {
  checked('listen', native.listen(fd, 1), `descriptor ${fd}`);
}

/** The next connection of a non-blocking listener, itself non-blocking; undefined when nobody has come yet. */
export function acceptOn(fd: number): number | undefined {
  const accepted = native.accept4(fd, null, null, SOCKETS.NONBLOCK | SOCKETS.CLOEXEC);
  if (accepted >= 0) return accepted;
  const errno = koffi.errno();
  if (errno === constants.errno.EAGAIN) return undefined;
  throw new SyscallError('accept4', errno, `descriptor ${fd}`);
}

/** A descriptor that the peer of a unix socket passed on (SCM_RIGHTS); undefined when it has not come yet. */
export function receiveDescriptor(fd: number): number | undefined {
  const data = Buffer.alloc(256);
  const control = Buffer.alloc(64);
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(koffi.address(data), 0);
  vector.writeBigUInt64LE(BigInt(data.length), 8);
  const message = Buffer.alloc(56);
  message.writeBigUInt64LE(koffi.address(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(koffi.address(control), 32);
  message.writeBigUInt64LE(BigInt(control.length), 40);
  const length = Number(native.recvmsg(fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  if (length >= 0) return message.readBigUInt64LE(40) >= 20n ? control.readInt32LE(16) : undefined;
  const errno = koffi.errno();
  if (errno === constants.errno.EAGAIN) return undefined;
  throw new SyscallError('recvmsg', errno, `descriptor ${fd}`);
}

const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const FD_CLOEXEC_FLAG = 1;

/** The new mount calls, for option lists that do not fit mount(2)'s one page (glibc 2.36, Linux 5.2). */
const newMount = lazily(() => ({
  fsopen: libc.func('int fsopen(const char*, unsigned int)'),
  fsconfig: libc.func('int fsconfig(int, unsigned int, const char*, const char*, int)'),
  fsmount: libc.func('int fsmount(int, unsigned int, unsigned int)'),
  moveMount: libc.func('int move_mount(int, const char*, int, const char*, unsigned int)'),
  openTree: libc.func('int open_tree(int, const char*, unsigned int)'),
  mountSetattr: libc.func('int mount_setattr(int, const char*, unsigned int, const void*, size_t)'),
}));

function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Mounts a file system with one fsconfig(2) call per option, however many and long they are. */
export function mountWithOptions(
  type: string,
  target: string,
  options: readonly (readonly [name: string, value: string])[],
): void {
  const calls = newMount();
  const context = checked('fsopen', calls.fsopen(type, FD_CLOEXEC_FLAG), type);
  try {
    for (const [name, value] of options)
      checked('fsconfig', calls.fsconfig(context, FSCONFIG_SET_STRING, name, value, 0), `${name}=${value}`);
    checked('fsconfig', calls.fsconfig(context, FSCONFIG_CMD_CREATE, null, null, 0), target);
    const mounted = checked('fsmount', calls.fsmount(context, FD_CLOEXEC_FLAG, 0), target);
    try {
      checked('move_mount', calls.moveMount(mounted, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH), target);
    } finally {
      closeSync(mounted);
    }
  } finally {
    closeSync(context);
  }
}

const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const OPEN_TREE_CLONE = 1;
const O_CLOEXEC = 0o2000000;
const MOUNT_ATTR_IDMAP = 0x100000n;

/**
 * Shows a folder a second time, at `target`, with the owners of its files mapped as a user namespace maps them: an id
 * on disk is one inside, what is seen is the one outside. Needs Linux 5.12, and a file system that can.
 */
export function bindMapped(source: string, target: string, userNamespace: number): void {
  const calls = newMount();
  const tree = checked('open_tree', calls.openTree(AT_FDCWD, source, OPEN_TREE_CLONE | O_CLOEXEC), source);
  try {
    const attributes = Buffer.alloc(32);
    attributes.writeBigUInt64LE(MOUNT_ATTR_IDMAP, 0);
    attributes.writeBigUInt64LE(BigInt(userNamespace), 24);
    const { length } = attributes;
    checked('mount_setattr', calls.mountSetattr(tree, '', AT_EMPTY_PATH, attributes, length), source);
    checked('move_mount', calls.moveMount(tree, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH), target);
  } finally {
    closeSync(tree);
  }
}

/** ioctl(2) with a buffer that the kernel may read and write. */
export function ioctl(fd: number, request: number, argument: Uint8Array): void {
  checked('ioctl', native.ioctl(fd, request, argument), `descriptor ${fd} request ${request}`);
}

const WNOHANG = 1;
/** `posix_spawn_file_actions_t` has 80 bytes (glibc, 64 bits). */
const FILE_ACTIONS_BYTES = 128;

const processes = lazily(() => ({
  pipe2: libc.func('int pipe2(_Out_ int*, int)'),
  init: libc.func('int posix_spawn_file_actions_init(_Out_ void*)'),
  dup2: libc.func('int posix_spawn_file_actions_adddup2(_Inout_ void*, int, int)'),
  open: libc.func('int posix_spawn_file_actions_addopen(_Inout_ void*, int, const char*, int, uint32_t)'),
  destroy: libc.func('int posix_spawn_file_actions_destroy(_Inout_ void*)'),
  spawn: libc.func(
    'int posix_spawn(_Out_ int*, const char*, const void*, const void*, const char**, const char**)',
  ),
  waitpid: libc.func('int waitpid(int, _Out_ int*, int)'),
}));

/** A pipe; programs started later get its ends only when told to. */
export function pipe(): { readonly read: number; readonly write: number } {
  const [read, write] = outOf(2, (ends) => checked('pipe2', processes().pipe2(ends, O_CLOEXEC), 'pipe'));
  return { read, write };
}

function outOf(count: 1, call: (values: number[]) => void): [number];
function outOf(count: 2, call: (values: number[]) => void): [number, number];
function outOf(count: number, call: (values: number[]) => void): number[] {
  const values = Array.from({ length: count }, () => 0);
  call(values);
  return values;
}

export interface Start {
  /** Absolute. */
  readonly path: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: number;
  readonly stderr: number;
}

/**
 * Starts a program in the calling thread's namespaces, without a copy of this process being made; its standard output
 * goes nowhere. Gives its process id: it is the caller's to collect with ended(), Node knows nothing of it.
 */
export function startProgram({ path, args, env, stdin, stderr }: Start): number {
  const calls = processes();
  const actions = Buffer.alloc(FILE_ACTIONS_BYTES);
  calls.init(actions);
  try {
    calls.dup2(actions, stdin, 0);
    calls.open(actions, 1, '/dev/null', files.O_WRONLY, 0);
    calls.dup2(actions, stderr, 2);
    const environment = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const [pid] = outOf(1, (pids) => {
      const argv = [path, ...args, null];
      const errno = calls.spawn(pids, path, actions, null, argv, [...environment, null]);
      if (errno !== 0) throw new SyscallError('posix_spawn', errno, path);
    });
    return pid;
  } finally {
    calls.destroy(actions);
  }
}

/** How a program that startProgram() started has ended, told once; undefined while it runs. */
export function ended(pid: number): { readonly code: number } | { readonly signal: number } | undefined {
  let collected = 0;
  const [status] = outOf(1, (statuses) => {
    collected = checked('waitpid', processes().waitpid(pid, statuses, WNOHANG), `process ${pid}`);
  });
  if (collected === 0) return undefined;
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff } : { signal };
}

const MADV_DONTNEED = 4;

const memory = lazily(() => ({
  madvise: libc.func('int madvise(uintptr_t, size_t, int)'),
  mallocTrim: libc.func('int malloc_trim(size_t)'),
}));

/** Lets go of the pages of a mapping: what was written to them and is in no file is lost. */
export function dropPages(start: number, bytes: number): void {
  checked('madvise', memory().madvise(start, bytes, MADV_DONTNEED), start.toString(16));
}

/** Gives the kernel what malloc(3) holds and nobody uses. */
export function trimAllocator(): void {
  memory().mallocTrim(0);
}

/** The same off the event loop, which waits for it only where it allocates meanwhile; some time later it is done. */
export function trimAllocatorAside(): void {
  memory().mallocTrim.async(0, () => undefined);
}
