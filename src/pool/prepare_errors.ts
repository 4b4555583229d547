/** What is wrong with a function's code, as the one error that a caller sees. */
import type { Message } from 'esbuild';
import { type ErrorDetail, HearthError } from '../errors.js';

/** A problem at a place in the code; `file` is set when it is not the entry. Lines and columns are 1-based. */
export interface Problem {
  message: string;
  file?: string;
  line?: number;
  column?: number;
}

const MAX_DETAILS = 20;

/** An INVALID_FUNCTION whose sentence is the first problem, such as `Line 3, column 11: Expected ";" but found "x"`. */
export function invalid(problems: Problem[]): HearthError {
  const details = problems.slice(0, MAX_DETAILS).map((problem): ErrorDetail => {
    const message = problem.file === undefined ? problem.message : `${problem.file}: ${problem.message}`;
    const detail: ErrorDetail = { field: 'code', message };
    if (problem.line !== undefined) detail.line = problem.line;
    if (problem.column !== undefined) detail.column = problem.column;
    return detail;
  });
  const first = problems[0] ?? { message: 'The code cannot be loaded' };
  return new HearthError('INVALID_FUNCTION', sentence(first), { details });
}

function sentence(problem: Problem): string {
  if (problem.line === undefined) return problem.message;
  const place = `line ${problem.line}, column ${problem.column ?? 1}: ${problem.message}`;
  return problem.file === undefined ? `L${place.slice(1)}` : `In ${problem.file}, ${place}`;
}

/**
 * esbuild's message as a problem. Its columns count bytes from 0. `lines` bounds the place to the user's own lines,
 * because what ends too early is noticed only in the line that Hearth adds below them.
 */
export function toProblem(message: Message, entry: { path: string; code: string }): Problem {
  const { location } = message;
  if (location === null) return { message: message.text };
  const file = location.file.slice(location.file.indexOf(':') + 1);
  const before = Buffer.from(location.lineText).subarray(0, location.column).toString();
  const problem = { message: message.text, line: location.line, column: before.length + 1 };
  if (file !== entry.path) return { ...problem, file };
  const lines = entry.code.split('\n');
  if (location.line <= lines.length) return problem;
  return { ...problem, line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
}
