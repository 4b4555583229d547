/**
 * Where a case ends otherwise under one sandbox than under the other, or with something open under both. Everything
 * that is not here ends alike under both, with nothing open. docs/security.md quotes this table.
 */
import type { SandboxKind } from '../../src/pool/sandbox.js';

export interface Difference {
  /** Group and source: test/abuse/functions/<case>.ts. */
  case: string;
  sandbox: SandboxKind;
  /** The ways that are open there, by the names that the source gives them; empty where the difference is another. */
  open: readonly string[];
  /** What is different, and why that is accepted: a sentence for users. */
  why: string;
}

export const differences: readonly Difference[] = [
  {
    case: 'programs/stops_itself',
    sandbox: 'permissions',
    open: [],
    why: 'A function can stop its own process; its caller gets 504. Behind bubblewrap the signal is ignored.',
  },
  ...['fills_scratch', 'makes_many_files', 'writes_one_huge_file', 'fills_web_storage'].map(
    (file): Difference => ({
      case: `bombs/${file}`,
      sandbox: 'permissions',
      open: [],
      why: 'Scratch files lie on the disk: 128 MiB each, and no limit in all. Behind bubblewrap they are in memory, 64 MiB in all.',
    }),
  ),
  {
    case: 'network/listens_on_tcp',
    sandbox: 'permissions',
    open: ['node_net', 'node_http', 'worker'],
    why: 'A function with a network can open a port of the machine. Behind bubblewrap a filter of system calls refuses it.',
  },
  ...(['bwrap', 'permissions'] as const).map(
    (sandbox): Difference => ({
      case: 'network/listens_on_udp',
      sandbox,
      open: ['node'],
      why: 'A UDP socket has to be bound before it can send; what others send to it reaches the function.',
    }),
  ),
];
