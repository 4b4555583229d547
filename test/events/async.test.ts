/** Calls that nobody waits for: taken as rows, answered at once, run as any call is, retried, and never lost. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SocketConnection } from '../../src/store/connection.js';
import { type DatabaseUrl, databaseUrl } from '../support/database_url.js';
import { endOf, eventRows, executionOf, hurry, respondAsync, takenBy } from '../support/due.js';
import { type Gate, startGate } from '../support/gate.js';
import { scrape, total } from '../support/metrics.js';
import { root, startNode, type TestNode, until } from '../support/node.js';
import { run, startTestPostgres, type TestPostgres } from '../support/postgres.js';

const MIB = 1024 * 1024;
/** Fails as often as the header `x-fails` says. */
const FAILS = `export default (request) => {
  const attempt = Number(request.headers.get('x-execution-attempt'));
  console.log('this is attempt', attempt);
  if (attempt > Number(request.headers.get('x-fails'))) return 'well';
  if (request.headers.get('x-how') === 'answer') return new Response('not now', { status: 503 });
  throw new Error('it broke');
};`;

let postgres: TestPostgres;
let database: SocketConnection;
let address: DatabaseUrl;
let node: TestNode;
let gate: Gate;

beforeAll(async () => {
  [postgres, gate] = await Promise.all([startTestPostgres(), startGate()]);
  database = await postgres.database();
  address = await databaseUrl(database);
  node = await startNode({ DATABASE_URL: address.url });
  await node.deployFile('shows_request.js', {}, 'shows');
  await node.deployFile('waits_at_gate.js', {}, 'gated');
  await node.deploy('fails', FAILS);
});

afterAll(async () => {
  gate?.open();
  await node?.remove();
  await address?.stop();
  await postgres?.stop();
  await gate?.stop();
});

describe('a call with Prefer: respond-async', () => {
  it('is answered before it has run, with where its outcome will be', async () => {
    gate.close();
    const come = gate.arrived.length;
    const answer = await respondAsync(node, 'gated', { headers: { 'x-gate': gate.url, 'x-call': 'a' } });
    expect(answer.status).toBe(202);
    const { execution_id: id } = (await answer.json()) as { execution_id: string };
    expect(answer.headers.get('location')).toBe(`/api/v1/executions/${id}`);
    expect(answer.headers.get('preference-applied')).toBe('respond-async');
    expect(answer.headers.get('x-execution-id')).toBe(id);
    expect(answer.headers.get('x-request-id')).toMatch(/\S/);
    const first = await executionOf(node, id);
    expect(first).toMatchObject({ function_name: 'gated', trigger_type: 'async', completed_at: null });
    expect(['pending', 'running']).toContain(first.status);
    await until(() => gate.arrived.length > come);
    expect(await executionOf(node, id)).toMatchObject({ status: 'running', completed_at: null });
    gate.open();
    const last = await endOf(node, id);
    expect(last).toMatchObject({ status: 'success', status_code: 200, error_message: null });
    expect(JSON.parse(last.result ?? '')).toMatchObject({ call: 'a' });
    expect(last.duration_ms).toBeGreaterThan(0);
    expect(last.executed_at).toBe(first.executed_at);
    expect(last.completed_at).not.toBeNull();
    expect(await eventRows(database, id)).toEqual([]);
  });

  it('brings its function what any call does: method, URL, headers, body and who calls', async () => {
    const id = await takenBy(node, 'shows', {
      query: '?a=1&b=%20',
      body: 'ä body',
      headers: {
        'content-type': 'text/plain',
        'x-own': 'mine',
        'x-request-id': 'r-17',
        'x-execution-attempt': '99',
      },
    });
    const { result, request_id, trigger_payload } = await endOf(node, id);
    const seen = JSON.parse(result ?? '') as { method: string; url: string; headers: object; body: string };
    expect(seen).toMatchObject({ method: 'POST', body: 'ä body' });
    expect(seen.url).toBe(`${node.url}/api/v1/functions/shows/invoke?a=1&b=%20`);
    expect(seen.headers).toMatchObject({
      'content-type': 'text/plain',
      'x-own': 'mine',
      'x-execution-id': id,
      'x-execution-trigger': 'async',
      'x-execution-attempt': '1',
      authorization: `Bearer ${node.anon_key}`,
    });
    expect(request_id).toBe('r-17');
    expect(trigger_payload).toEqual({
      method: 'POST',
      path: '/api/v1/functions/shows/invoke',
      bytes: 7,
    });
  });

  it('is the only one that is made later: without the preference, and elsewhere, the answer is the function’s', async () => {
    const body = 'x';
    const synchronous = await node.api('/api/v1/functions/shows/invoke', {
      method: 'POST',
      key: 'anon',
      body,
    });
    expect(synchronous.status).toBe(200);
    const headers = { prefer: 'respond-async' };
    expect((await node.call('shows', { headers })).status).toBe(200);
    expect((await respondAsync(node, 'shows', { headers: {}, query: '' })).status).toBe(202);
    const listed = { prefer: 'wait=10, Respond-Async; wait=5' };
    const later = await node.api('/api/v1/functions/shows/invoke', {
      method: 'POST',
      key: 'anon',
      headers: listed,
    });
    expect(later.status).toBe(202);
    const other = await node.api('/api/v1/functions/shows/invoke', {
      method: 'POST',
      key: 'anon',
      headers: { prefer: 'respond-asynchronously' },
    });
    expect(other.status).toBe(200);
  });

  it('may have a body of 1 MiB, and none that is larger, however it comes', async () => {
    const whole = await takenBy(node, 'shows', { body: 'x'.repeat(MIB) });
    expect((await endOf(node, whole)).status).toBe('success');
    const told = await respondAsync(node, 'shows', { body: 'x'.repeat(MIB + 1) });
    expect([told.status, ((await told.json()) as { code: string }).code]).toEqual([413, 'TOO_LARGE']);
    const chunks = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let n = 0; n < 8; n++) controller.enqueue(new Uint8Array(MIB));
        controller.close();
      },
    });
    const streamed = await respondAsync(node, 'shows', { body: chunks, duplex: 'half' } as RequestInit);
    expect(streamed.status).toBe(413);
  });

  it('is refused as any call is', async () => {
    await node.deploy('off', 'export default () => 1;', { enabled: false });
    const codes = await Promise.all(
      [
        respondAsync(node, 'shows', { key: 'none' }),
        respondAsync(node, 'nobody'),
        respondAsync(node, 'off'),
      ].map(async (asked) => {
        const answer = await asked;
        return [answer.status, ((await answer.json()) as { code: string }).code];
      }),
    );
    expect(codes).toEqual([
      [401, 'UNAUTHENTICATED'],
      [404, 'NOT_FOUND'],
      [403, 'FUNCTION_DISABLED'],
    ]);
  });

  it('is counted against its caller’s limit when it is taken', async () => {
    await node.deploy('limited', 'export default () => 1;', { rate_limit: '2/hour' });
    const statuses = [];
    for (let n = 0; n < 3; n++) statuses.push((await respondAsync(node, 'limited')).status);
    expect(statuses).toEqual([202, 202, 429]);
  });

  it('keeps its function’s secrets out of its execution', async () => {
    const value = 'a value that nobody should read';
    await node.api('/api/v1/secrets/SHARED', { method: 'PUT', json: { value } });
    await node.deployFile('shows_a_secret.js', {}, 'tells');
    const { result } = await endOf(node, await takenBy(node, 'tells'));
    expect(JSON.parse(result ?? '')).toMatchObject({ found: { SHARED: '[redacted]' } });
  });

  it('is found below the tenant that it is for', async () => {
    const admin = { method: 'POST', key: 'admin' } as const;
    const quotas = { calls_per_minute: 3, concurrent_calls: 5 };
    await node.api('/api/v1/admin/tenants', { ...admin, json: { slug: 'acme', quotas } });
    const code = "export default () => 'theirs';";
    const made = { name: 'theirs', code, allow_unauthenticated: true };
    expect((await node.api('/t/acme/api/v1/functions', { ...admin, json: made })).status).toBe(201);
    const asked = () => respondAsync(node, 'theirs', { prefix: '/t/acme', key: 'none' });
    const answer = await asked();
    expect(answer.headers.get('location')).toMatch(/^\/t\/acme\/api\/v1\/executions\/[\w-]{36}$/);
    const id = answer.headers.get('x-execution-id') ?? '';
    await until(async () => (await executionOf(node, id, '/t/acme')).status === 'success');
    expect((await node.api(`/api/v1/executions/${id}`)).status).toBe(404);
    // Its minute was counted when it was taken, once.
    expect([(await asked()).status, (await asked()).status, (await asked()).status]).toEqual([202, 202, 429]);
  });

  it('runs while as many of another tenant’s as may run wait for a slot of their function', async () => {
    const admin = { method: 'POST', key: 'admin' } as const;
    await node.api('/api/v1/admin/tenants', { ...admin, json: { slug: 'beside' } });
    const made = { name: 'quick', code: "export default () => 'quick';", allow_unauthenticated: true };
    expect((await node.api('/t/beside/api/v1/functions', { ...admin, json: made })).status).toBe(201);
    await node.deployFile('waits_at_gate.js', { max_concurrency: 1, max_instances: 1 }, 'one_by_one');
    gate.close();
    const come = gate.arrived.length;
    const headers = { 'x-gate': gate.url };
    const ids = await Promise.all(Array.from({ length: 10 }, () => takenBy(node, 'one_by_one', { headers })));
    await until(() => gate.arrived.length === come + 1);
    const running = async () => (await eventRows(database)).filter(({ state }) => state === 'running').length;
    await until(async () => (await running()) === 8);
    const id = await takenBy(node, 'quick', { prefix: '/t/beside', key: 'none' });
    await until(async () => (await executionOf(node, id, '/t/beside')).status === 'success');
    // None of the others has given up its place to it.
    expect(await running()).toBe(8);
    gate.open();
    for (const each of ids) expect((await endOf(node, each)).status).toBe('success');
  });

  it('is counted: what came to an end, and what is given up or made again', async () => {
    const counted = async (name: string, labels: Record<string, string>) =>
      total(await scrape(node.metrics_url), `hearth_events_${name}`, { hearth_tenant: 'default', ...labels });
    const ended = { faas_name: 'shows', faas_trigger: 'other', hearth_outcome: 'success' };
    const before = await counted('ended_total', ended);
    expect(before).toBeGreaterThan(0);
    await endOf(node, await takenBy(node, 'shows'));
    await until(async () => (await counted('ended_total', ended)) === before + 1);
    const page = await scrape(node.metrics_url);
    for (const name of ['due', 'lag_seconds', 'dead', 'running', 'limit'])
      expect(page.samples.some((sample) => sample.name === `hearth_events_${name}`)).toBe(true);
    expect(total(page, 'faas_invocations_total', { faas_name: 'shows', faas_trigger: 'other' })).toBe(
      before + 1,
    );
  });

  it('keeps its headers and its query sealed', async () => {
    gate.close();
    const headers = { 'x-gate': gate.url, 'x-own': 'a very own header' };
    const id = await takenBy(node, 'gated', { headers, query: '?token=a-very-own-token' });
    const rows = await eventRows(database, id);
    expect(rows).toHaveLength(1);
    const [row] = await run(database, `select events::text as whole from events where id = '${id}'`);
    expect(String(row?.whole)).not.toContain('a very own header');
    expect(String(row?.whole)).not.toContain(node.anon_key);
    expect(String(row?.whole)).not.toContain('a-very-own-token');
    expect(JSON.stringify(await executionOf(node, id))).not.toContain('a-very-own-token');
    gate.open();
    expect((await endOf(node, id)).status).toBe('success');
  });
});

describe('an asynchronous call that fails', () => {
  it.each([
    ['the function throws', 'throw', 500],
    ['it answers with 500 or more', 'answer', 503],
  ])('is made again where %s, with one execution for all attempts', async (_, how, status) => {
    const id = await takenBy(node, 'fails', { headers: { 'x-fails': '1', 'x-how': how } });
    await until(async () => (await executionOf(node, id)).status_code === status);
    expect(await executionOf(node, id)).toMatchObject({ status: 'pending', completed_at: null });
    expect(await eventRows(database, id)).toMatchObject([{ state: 'waiting', attempts: 1 }]);
    await hurry(database);
    const last = await endOf(node, id);
    expect(last).toMatchObject({ status: 'success', status_code: 200, result: 'well' });
    const lines = last.logs?.split('\n').filter((line) => !line.startsWith('    at '));
    expect(lines).toEqual([
      'this is attempt 1',
      ...(how === 'throw' ? [expect.stringContaining('it broke')] : []),
      expect.stringMatching(/^\[hearth\] attempt 1 of 4 failed; the next one in 1\d s$/),
      'this is attempt 2',
    ]);
  });

  it('is given up after four attempts, and kept', async () => {
    const id = await takenBy(node, 'fails', { headers: { 'x-fails': '9' } });
    for (let attempt = 1; attempt < 4; attempt++) {
      await until(async () => {
        const [row] = await eventRows(database, id);
        return row?.state === 'waiting' && row.attempts === attempt;
      });
      await hurry(database);
    }
    await until(async () => (await eventRows(database, id))[0]?.state === 'dead');
    await until(async () => total(await scrape(node.metrics_url), 'hearth_events_dead') === 1);
    expect(total(await scrape(node.metrics_url), 'hearth_events_retries_total', { faas_name: 'fails' })).toBe(
      5,
    );
    const last = await executionOf(node, id);
    expect(last).toMatchObject({ status: 'error', status_code: 500, error_message: 'it broke' });
    expect(last.completed_at).not.toBeNull();
    expect(await eventRows(database, id)).toMatchObject([{ attempts: 4, last_error: 'it broke' }]);
  });

  it('is made again as the runbook says, once its function is mended', async () => {
    const [dead] = (await eventRows(database)).filter(({ state }) => state === 'dead');
    const runbook = await readFile(join(root, 'docs/runbook.md'), 'utf8');
    const [list = '', again = ''] = [...runbook.matchAll(/```sql\n(.*?)```/gs)].map(([, sql]) => sql);
    const [listed] = await run(database, list);
    expect(listed).toMatchObject({ id: dead?.id, last_error: 'it broke' });
    const code = "export default () => 'mended';";
    await node.api('/api/v1/functions/fails', { method: 'PATCH', json: { code } });
    await run(database, again.replace('…', String(listed?.function_id)));
    expect(await endOf(node, dead?.id ?? '')).toMatchObject({ status: 'success', result: 'mended' });
    expect(await eventRows(database, dead?.id)).toEqual([]);
    await node.api('/api/v1/functions/fails', { method: 'PATCH', json: { code: FAILS } });
  });

  it('is not made again where the function says that it is the caller’s fault', async () => {
    await node.deploy('picky', "export default () => new Response('no', { status: 422 });");
    const id = await takenBy(node, 'picky');
    expect(await endOf(node, id)).toMatchObject({ status: 'success', status_code: 422, result: 'no' });
    expect(await eventRows(database, id)).toEqual([]);
  });

  it('has as much time as any, and is made again when that is over', async () => {
    await node.deployFile('never_resolves.js', { timeout_seconds: 1 }, 'late');
    const id = await takenBy(node, 'late');
    await until(async () => (await executionOf(node, id)).status_code === 504);
    expect((await eventRows(database, id))[0]?.state).toBe('waiting');
    expect((await node.api('/api/v1/functions/late', { method: 'DELETE' })).status).toBe(204);
  });
});

describe('a function that changes before its calls are made', () => {
  it('has those cancelled that wait when it is deleted', async () => {
    await node.deploy('leaves', 'export default () => { throw new Error("no"); };');
    const id = await takenBy(node, 'leaves');
    await until(async () => (await eventRows(database, id))[0]?.state === 'waiting');
    await node.api('/api/v1/functions/leaves', { method: 'DELETE' });
    expect(await executionOf(node, id)).toMatchObject({
      status: 'cancelled',
      error_message: expect.stringContaining('deleted'),
    });
    expect(await eventRows(database, id)).toEqual([]);
  });

  it('has them wait while it is disabled', async () => {
    await node.deploy('pauses', FAILS);
    const id = await takenBy(node, 'pauses', { headers: { 'x-fails': '1' } });
    await until(async () => (await eventRows(database, id))[0]?.state === 'waiting');
    await node.api('/api/v1/functions/pauses', { method: 'PATCH', json: { enabled: false } });
    await hurry(database);
    await until(async () => (await executionOf(node, id)).error_message?.includes('disabled') === true);
    // That was no attempt.
    expect(await eventRows(database, id)).toMatchObject([{ state: 'waiting', attempts: 1 }]);
    await node.api('/api/v1/functions/pauses', { method: 'PATCH', json: { enabled: true } });
    await hurry(database);
    expect(await endOf(node, id)).toMatchObject({ status: 'success', result: 'well' });
  });
});
