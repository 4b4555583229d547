/**
 * A seccomp filter for bubblewrap's `--seccomp`: which families of sockets a sandboxed process can make, and that it
 * opens no port: Deno sets SO_REUSEADDR on a socket before it listens on TCP, and on no other. Where that fails it goes
 * on in part, so the process ends.
 */

/** Numbers from the kernel's headers: linux/audit.h, and the system call tables. */
const MACHINES: Partial<Record<NodeJS.Architecture, { audit: number; socket: number; setsockopt: number }>> =
  {
    x64: { audit: 0xc000003e, socket: 41, setsockopt: 54 },
    arm64: { audit: 0xc00000b7, socket: 198, setsockopt: 208 },
  };
/** io_uring makes sockets without the system call; its number is the same on every machine. */
const IO_URING_SETUP = 425;
/** On x64, system calls of the x32 kind have this bit. */
const X32 = 0x40000000;

const FAMILIES = { unix: 1, ipv4: 2, ipv6: 10 } as const;
export type SocketFamily = keyof typeof FAMILIES;

/** linux/seccomp.h and linux/filter.h */
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const fail = (errno: number) => 0x00050000 | errno;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;
/** asm-generic/socket.h */
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;
/** Offsets in struct seccomp_data. */
const AT = { number: 0, machine: 4, firstArgument: 16, secondArgument: 24, thirdArgument: 32 };

type Instruction = [code: number, value: number, ifTrue?: number, ifFalse?: number];

/**
 * The program as the kernel wants it (struct sock_filter, 8 bytes each): sockets of other families fail with
 * EAFNOSUPPORT, io_uring with ENOSYS; listening on TCP, and system calls of another machine's kind, end the process. Null where the
 * machine's numbers are not known.
 */
export function socketFilter(machine: NodeJS.Architecture, families: readonly SocketFamily[]): Buffer | null {
  const numbers = MACHINES[machine];
  if (numbers === undefined) return null;
  const allowed = families.map((family) => FAMILIES[family]);
  const program: Instruction[] = [
    [LOAD, AT.machine],
    [JUMP_EQUAL, numbers.audit, 1, 0],
    [RETURN, KILL_PROCESS],
    [LOAD, AT.number],
    [JUMP_AT_LEAST, X32, 0, 1],
    [RETURN, KILL_PROCESS],
    [JUMP_EQUAL, IO_URING_SETUP, 0, 1],
    [RETURN, fail(ENOSYS)],
    [JUMP_EQUAL, numbers.setsockopt, 0, 7],
    [LOAD, AT.secondArgument],
    [JUMP_EQUAL, SOL_SOCKET, 0, 4],
    [LOAD, AT.thirdArgument],
    [JUMP_EQUAL, SO_REUSEADDR, 1, 0],
    [JUMP_EQUAL, SO_REUSEPORT, 0, 1],
    [RETURN, KILL_PROCESS],
    [RETURN, ALLOW],
    [JUMP_EQUAL, numbers.socket, 1, 0],
    [RETURN, ALLOW],
    [LOAD, AT.firstArgument],
    ...allowed.map((family, index): Instruction => [JUMP_EQUAL, family, allowed.length - index, 0]),
    [RETURN, fail(EAFNOSUPPORT)],
    [RETURN, ALLOW],
  ];
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, value, ifTrue = 0, ifFalse = 0], index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  });
  return bytes;
}
