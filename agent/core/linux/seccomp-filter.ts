/*
 * A compiled seccomp filter is a classic BPF program: instructions of 8 bytes { u16 code, u8 jt, u8 jf, u32 k }, with
 * jumps relative to the next one, so a prologue can be put before any program.
 */

const LOAD_WORD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER_OR_EQUAL = 0x35;
const RETURN = 0x06;

const SYSCALL_NUMBER_OFFSET = 0;
const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const ENOSYS = 38;
/** x32 numbers have this bit set. */
const X32_BIT = 0x40000000;

/** The last call that every libseccomp in use knows (2.5.4: set_mempolicy_home_node). */
const KNOWN_MAX = 450;
/**
 * Newer calls that are as harmless as their older kin; calls have had one number on all architectures since 403:
 * cachestat, fchmodat2, map_shadow_stack, futex_wake, futex_wait, futex_requeue, statmount, listmount, mseal,
 * setxattrat, getxattrat, listxattrat, removexattrat.
 */
const NEWER_ALLOWED = [451, 452, 453, 454, 455, 456, 457, 458, 462, 463, 464, 465, 466];

/**
 * Puts calls that the compiler had never heard of before the program it made: some are allowed, the others do not
 * exist (ENOSYS). EPERM would keep a C library from falling back to the older call.
 */
export function withNewerCalls(program: Buffer): Buffer {
  const rest = NEWER_ALLOWED.length + 3;
  const prologue = [
    instruction(LOAD_WORD, 0, 0, SYSCALL_NUMBER_OFFSET),
    instruction(JUMP_GREATER_OR_EQUAL, rest, 0, X32_BIT),
    instruction(JUMP_GREATER_OR_EQUAL, 0, rest - 1, KNOWN_MAX + 1),
    ...NEWER_ALLOWED.map((number, index) => instruction(JUMP_EQUAL, NEWER_ALLOWED.length - index, 0, number)),
    instruction(RETURN, 0, 0, ERRNO | ENOSYS),
    instruction(RETURN, 0, 0, ALLOW),
  ];
  return Buffer.concat([...prologue, program]);
}

function instruction(code: number, ifTrue: number, ifFalse: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(ifTrue, 2);
  bytes.writeUInt8(ifFalse, 3);
  bytes.writeUInt32LE(value, 4);
  return bytes;
}
