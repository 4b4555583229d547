/** What a call that is recorded notes for its spans, as it happens. */
import type { ErrorCode } from '../errors.js';
import type { Execution } from '../store/types.js';
import type { CallDescription } from './call_description.js';
import type { Noted } from './call_spans.js';

/** It never ran. */
export function noteRefused(noted: Noted, call: CallDescription, code: ErrorCode): void {
  noted.ended = performance.now();
  noted.call = call;
  noted.code = code;
}

/** `mayTell`: its process has no secrets that could be in what it threw. `at`: ms of performance.now(). */
export function noteEnd(
  noted: Noted,
  call: CallDescription,
  execution: Execution,
  mayTell: boolean,
  at: number,
): void {
  noted.ended = at;
  noted.call = call;
  noted.execution = execution;
  noted.mayTell = mayTell;
}
