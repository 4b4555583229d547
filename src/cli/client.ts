/** Talks to a node's API as any client does. */
import { z } from 'zod';
import type { Target } from './credentials.js';
import { CliError, lineOf } from './errors.js';

export interface ApiRequest<S extends z.ZodType> {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  json?: unknown;
  /** What is answered. */
  answer: S;
}

const TIMEOUT_MS = 30_000;
const ErrorAnswer = z.object({ error: z.string(), code: z.string() });

/** @throws CliError with what the node said, or why it said nothing. */
export async function ask<S extends z.ZodType>(target: Target, request: ApiRequest<S>): Promise<z.output<S>> {
  const { method, path, json } = request;
  let status: number;
  let text: string;
  try {
    const answer = await fetch(target.url + path, {
      method,
      redirect: 'manual', // the key is for this address
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: { authorization: `Bearer ${target.key}`, 'content-type': 'application/json' },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    status = answer.status;
    text = await answer.text();
  } catch (error) {
    throw new CliError(`${target.url} does not answer: ${reasonOf(error)}`, 1);
  }
  const body = parse(text);
  if (status >= 400) {
    const refusal = ErrorAnswer.safeParse(body).data;
    throw new CliError(refusal === undefined ? strange(target) : `${refusal.error} (${refusal.code})`, 1);
  }
  const read = request.answer.safeParse(body);
  if (!read.success) throw new CliError(strange(target), 1);
  return read.data;
}

function parse(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function strange(target: Target): string {
  return `${target.url} answers as no node of Hearth does`;
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError')
    return `nothing came within ${TIMEOUT_MS / 1000} s`;
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (cause instanceof Error && 'code' in cause) return `${String(cause.code)} (is the node running?)`;
  return lineOf(cause);
}
