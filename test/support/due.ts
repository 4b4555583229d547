/** Due work in tests: a call is made later, and what it comes to is waited for; time is helped along. */
import type { SocketConnection } from '../../src/store/connection.js';
import { type TestNode, until } from './node.js';
import { run } from './postgres.js';

export interface ReadExecution {
  id: string;
  function_name: string;
  trigger_type: string;
  trigger_payload: Record<string, unknown> | null;
  status: string;
  status_code: number | null;
  duration_ms: number;
  result: string | null;
  logs: string | null;
  error_message: string | null;
  executed_at: string;
  completed_at: string | null;
  request_id: string;
}

/** A call with `Prefer: respond-async`, by the anon key unless told otherwise. */
export function respondAsync(
  node: TestNode,
  name: string,
  init: Parameters<TestNode['api']>[1] & { query?: string; prefix?: string } = {},
): Promise<Response> {
  const { query = '', prefix = '', ...rest } = init;
  const headers = new Headers(rest.headers);
  headers.set('prefer', 'respond-async');
  const path = `${prefix}/api/v1/functions/${name}/invoke${query}`;
  return node.api(path, { method: 'POST', key: 'anon', ...rest, headers });
}

/** The same; its execution's id. */
export async function takenBy(...given: Parameters<typeof respondAsync>): Promise<string> {
  const answer = await respondAsync(...given);
  const body = (await answer.json()) as { execution_id: string };
  if (answer.status !== 202) throw new Error(`it was not taken: ${answer.status} ${JSON.stringify(body)}`);
  return body.execution_id;
}

export async function executionOf(node: TestNode, id: string, prefix = ''): Promise<ReadExecution> {
  const key = prefix === '' ? 'service' : 'admin';
  const answer = await node.api(`${prefix}/api/v1/executions/${id}`, { key });
  if (answer.status !== 200) throw new Error(`${id}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as ReadExecution;
}

/** Resolves with the execution once it has one of the statuses. */
export async function endOf(
  node: TestNode,
  id: string,
  statuses: string[] = ['success', 'error', 'timeout', 'cancelled'],
): Promise<ReadExecution> {
  let last: ReadExecution | null = null;
  await until(
    async () => {
      last = await executionOf(node, id);
      return statuses.includes(last.status);
    },
    30_000,
    () => `${JSON.stringify(last)}\n${node.output()}`,
  );
  return last as unknown as ReadExecution;
}

export interface EventRow {
  id: string;
  state: string;
  attempts: number;
  last_error: string | null;
}

/** The rows of due work, of one execution or all. */
export async function eventRows(database: SocketConnection, id?: string): Promise<EventRow[]> {
  const which = id === undefined ? '' : `where id = '${id}'`;
  const rows = await run(database, `select id, state, attempts, last_error from events ${which}`);
  return rows as unknown as EventRow[];
}

/** What waits for its next attempt is due at once. */
export async function hurry(database: SocketConnection): Promise<void> {
  await run(database, "update events set due_at = now() where state = 'waiting'");
}

/** The node that has a lease is taken for gone. */
export async function endLeases(database: SocketConnection): Promise<void> {
  await run(database, "update events set leased_until = now() where state = 'running'");
}
