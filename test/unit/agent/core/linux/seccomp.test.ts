import test from 'ava';
import { withNewerCalls } from '#agent/core/linux/seccomp-filter.ts';
import { defaultSeccomp } from '#agent/core/linux/seccomp-profile.ts';

const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const MARK = 0x00030000;
const ENOSYS = 38;

/** Runs a classic BPF program of the few instructions there are here over a system call's number. */
function verdict(program: Buffer, number: number): number {
  let accumulator = 0;
  for (let at = 0; ; at += 1) {
    const code = program.readUInt16LE(at * 8);
    const [ifTrue, ifFalse] = [program[at * 8 + 2] as number, program[at * 8 + 3] as number];
    const value = program.readUInt32LE(at * 8 + 4);
    if (code === 0x06) return value;
    if (code === 0x20) accumulator = number;
    else at += (code === 0x15 ? accumulator === value : accumulator >= value) ? ifTrue : ifFalse;
  }
}

test('newer calls: known ones are left to the program, harmless ones allowed, others do not exist', (t) => {
  const leave = Buffer.alloc(8);
  leave.writeUInt16LE(0x06, 0);
  leave.writeUInt32LE(MARK, 4);
  const program = withNewerCalls(leave);
  for (const known of [0, 59, 450, 0x40000000, 0x40000000 + 500])
    t.is(verdict(program, known), MARK, `call ${known}`);
  for (const harmless of [451, 452, 458, 462, 466])
    t.is(verdict(program, harmless), ALLOW, `call ${harmless}`);
  for (const unknown of [459, 461, 467, 900])
    t.is(verdict(program, unknown), ERRNO | ENOSYS, `call ${unknown}`);
});

const actionsOf = (call: string, capabilities: string[]) =>
  defaultSeccomp(capabilities, 'x64').syscalls.filter(({ names }) => names.includes(call));

test('profile: what takes a capability is allowed with it alone', (t) => {
  t.is(actionsOf('mount', []).length, 0);
  t.is(actionsOf('mount', ['CAP_SYS_ADMIN']).length, 1);
  t.is(actionsOf('chroot', ['CAP_SYS_CHROOT']).length, 1);
  t.is(actionsOf('openat', []).length, 1);
  for (const never of ['io_uring_setup', 'userfaultfd', 'keyctl', 'kexec_load'])
    t.is(actionsOf(never, []).length, 0, never);
});

test('profile: new namespaces take CAP_SYS_ADMIN; clone3 is not there without it', (t) => {
  t.is(actionsOf('clone', [])[0]?.args?.[0]?.value, 0x7e020000);
  t.is(actionsOf('clone3', [])[0]?.errnoRet, ENOSYS);
  t.is(actionsOf('clone', ['CAP_SYS_ADMIN'])[0]?.args, undefined);
  t.is(actionsOf('unshare', []).length, 0);
});
