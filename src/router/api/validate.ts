/** A zod schema's verdict on a request, as the contract's INVALID_REQUEST with a detail for each field. */
import type { z } from '@hono/zod-openapi';
import { type ErrorDetail, HearthError } from '../../errors.js';

type Issue = z.core.$ZodIssue;

const MAX_DETAILS = 50;

/** Throws HearthError INVALID_REQUEST that names every field that is wrong or unknown. */
export function validate<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalidRequest(result.error.issues.flatMap((issue) => toDetails(issue)));
}

/** What is wrong with `value`, for a message; null if nothing is. */
export function problemOf(schema: z.ZodType, value: unknown): string | null {
  const result = schema.safeParse(value);
  if (result.success) return null;
  return result.error.issues.flatMap((issue) => toDetails(issue))[0]?.message ?? 'is not valid';
}

export function invalidRequest(details: ErrorDetail[]): HearthError {
  const [first] = details;
  const more = details.length > 1 ? ` (and ${details.length - 1} more)` : '';
  const sentence =
    first === undefined ? 'The request is not valid' : `${first.field}: ${first.message}${more}`;
  return new HearthError('INVALID_REQUEST', sentence, { details: details.slice(0, MAX_DETAILS) });
}

function toDetails(issue: Issue, prefix: PropertyKey[] = []): ErrorDetail[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ field: fieldOf([...path, key]), message: 'is not a known field' }));
  }
  if (issue.code === 'invalid_union') {
    const branch = issue.errors.find(
      ([first]) => first !== undefined && (first.path.length > 0 || first.code !== 'invalid_type'),
    );
    if (branch !== undefined) return branch.flatMap((inner) => toDetails(inner, path));
  }
  return [{ field: fieldOf(path), message: issue.message }];
}

function fieldOf(path: PropertyKey[]): string {
  return path.length === 0 ? 'body' : path.map(String).join('.');
}
