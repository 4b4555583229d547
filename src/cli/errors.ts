/** What ends a command: one line for a person, and the exit status. */
import { messageOf } from '../errors.js';

/** 1: it was refused, or could not be done; 2: it was not said right. */
export type Failure = 1 | 2;

export class CliError extends Error {
  override readonly name = 'CliError';
  readonly status: Failure;

  constructor(message: string, status: Failure) {
    super(message);
    this.status = status;
  }
}

/** In one line, whatever it is made of. */
export function lineOf(error: unknown): string {
  return messageOf(error).replace(/\s+/g, ' ').trim();
}
