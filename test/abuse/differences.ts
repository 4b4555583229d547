/**
 * Where a case ends otherwise under one sandbox than under the other. Everything that is not here ends alike under
 * both. docs/security.md quotes this table.
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
];
