/** What a test reads from an answer: the contract's error, the execution behind it, and text as it arrives. */
import type { z } from '@hono/zod-openapi';
import { expect } from 'vitest';
import { ErrorAnswer, ExecutionRecord } from '../../src/router/api/schemas.js';
import { type TestNode, until } from './node.js';

export type ExecutionAnswer = z.output<typeof ExecutionRecord>;

/** The error body, held to the contract's shape: no field more, no stack, the ids of the headers. */
export async function errorOf(answer: Response): Promise<z.output<typeof ErrorAnswer> & { status: number }> {
  expect(answer.headers.get('content-type')).toBe('application/json');
  const text = await answer.text();
  expect(text).not.toMatch(/\bat .*:\d+:\d+|main\.js|node_modules|\.ts:/);
  const error = ErrorAnswer.parse(JSON.parse(text));
  expect(error.request_id).toBe(answer.headers.get('x-request-id'));
  expect(error.execution_id ?? null).toBe(answer.headers.get('x-execution-id'));
  return { ...error, status: answer.status };
}

/** The execution that an answer names, once it is written and `complete` holds. */
export async function executionOf(
  node: TestNode,
  answer: Response | string,
  complete: (execution: ExecutionAnswer) => boolean = () => true,
): Promise<ExecutionAnswer> {
  const id = typeof answer === 'string' ? answer : (answer.headers.get('x-execution-id') ?? 'none');
  let last: ExecutionAnswer | undefined;
  await until(
    async () => {
      const found = await node.api(`/api/v1/executions/${id}`);
      if (found.status !== 200) return false;
      last = ExecutionRecord.parse(await found.json());
      return complete(last);
    },
    10_000,
    () => `execution ${id}: ${JSON.stringify(last)}`,
  );
  if (last === undefined) throw new Error(`no execution ${id}`);
  return last;
}

export interface Lines {
  /** The next line that is not empty; fails after 10 s. */
  next(): Promise<string>;
  /** Every line so far that `next` has not given. */
  waiting(): readonly string[];
  /** How the body ended: null while it has not. */
  ended(): 'complete' | 'broken' | null;
  cancel(): Promise<void>;
}

/** Reads a body line by line, as it arrives. */
export function linesOf(answer: Response): Lines {
  const lines: string[] = [];
  let ended: 'complete' | 'broken' | null = null;
  let rest = '';
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  const read = async () => {
    for (;;) {
      const part = await reader?.read();
      if (part === undefined || part.done) break;
      const parts = (rest + part.value).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts.filter((line) => line !== ''));
    }
  };
  read().then(
    () => {
      ended = 'complete';
    },
    () => {
      ended = 'broken';
    },
  );
  return {
    async next() {
      await until(
        () => lines.length > 0,
        10_000,
        () => `the body has ended: ${ended}`,
      );
      return lines.shift() ?? '';
    },
    waiting: () => lines,
    ended: () => ended,
    cancel: async () => void (await reader?.cancel().catch(() => {})), // it may have broken already
  };
}

export interface LogEvent {
  execution_id: string | null;
  timestamp: string;
  level: string;
  message: string;
}

/** The live log of a function: what has come so far. */
export async function followLog(
  node: TestNode,
  name: string,
): Promise<{ events(): LogEvent[]; stop(): Promise<void> }> {
  const answer = await node.api(`/api/v1/functions/${name}/logs?follow=true`);
  expect(answer.status).toBe(200);
  const lines = linesOf(answer);
  expect(await lines.next()).toBe(': following');
  const events = (): LogEvent[] =>
    lines
      .waiting()
      .filter((line) => line.startsWith('data: '))
      .map((line): LogEvent => JSON.parse(line.slice('data: '.length)));
  return { events, stop: lines.cancel };
}
