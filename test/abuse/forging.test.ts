/** Attacks on the truth: answers, logs and executions that are not what they seem, and the platform's own channels. */
import { expect, it } from 'vitest';
import { signToken } from '../../src/tokens.js';
import { type ExecutionAnswer, errorOf, executionOf, linesOf } from '../support/answers.js';
import { until } from '../support/node.js';
import { type Stage, underEachSandbox } from './stage.js';

/** What each replaces of the built-in parts while it loads; all share one handler (taken.ts). */
const REPLACERS = [
  'replaces_then',
  'replaces_headers',
  'replaces_response',
  'replaces_json',
  'replaces_text_encoder',
  'replaces_array',
  'replaces_string',
  'replaces_map',
  'replaces_function_call',
  'sets_object_prototype',
  'replaces_async_local_storage',
  'replaces_connection',
  'replaces_console',
  'replaces_serve',
  'replaces_time_and_numbers',
  'replaces_events',
];

underEachSandbox('forging', (stage) => {
  it.each(REPLACERS)('%s.ts learns nothing, and forges nothing but its own answers', async (file) => {
    const name = await stage.deploy(file);
    const { result, execution } = await victimDuring(stage, async (victim) => {
      const answers = [];
      for (let n = 0; n < 3; n++) answers.push(await stage.node.call(`${name}?n=${n}&victim=${victim}`));
      return answers;
    });
    expectUntouched(execution);
    for (const [n, answer] of result.entries()) {
      const text = await answer.text();
      expect([answer.status, answer.headers.get('x-hearth')], text).toEqual([200, null]);
      expect(JSON.parse(text)).toEqual({ query: String(n), taken: [] });
      const own = await executionOf(stage.node, answer, ({ logs }) => logs !== null);
      expect(own).toMatchObject({ status: 'success', status_code: 200, error_message: null });
      expect(own.logs).toBe('its own line');
      expect(own.cpu_ms).toBeGreaterThan(0);
      expect(own.cpu_ms).toBeLessThan(60_000);
    }
    const thrown = await stage.node.call(`${name}?throw`);
    expect(await errorOf(thrown)).toMatchObject({ status: 500, code: 'FUNCTION_ERROR' });
    const failed = await executionOf(stage.node, thrown, ({ logs }) => logs !== null);
    expect(failed).toMatchObject({ status: 'error', error_message: 'thrown all the same' });
  });

  it.each(['calls_the_control_socket', 'writes_to_open_resources', 'writes_to_file_descriptors'])(
    '%s.ts says nothing to the supervisor',
    async (file) => {
      const { result, execution } = await victimDuring(stage, async (victim) => {
        const open = await stage.waysOpen(file, { json: { victim } });
        return open;
      });
      expectUntouched(execution);
      expect(result).toEqual(stage.openWays(file));
    },
  );

  it('calls_its_own_socket.ts does not call itself', async () => {
    const open = await stage.waysOpen('calls_its_own_socket');
    expect(open).toEqual(stage.openWays('calls_its_own_socket'));
  });

  it.each(['takes_its_own_socket', 'closes_open_resources'])(
    '%s.ts harms its own calls at most, and forges none',
    async (file) => {
      const name = await stage.deploy(file, { settings: { timeout_seconds: 2 } });
      for (let call = 0; call < 3; call++) {
        const answer = await stage.node.call(name);
        if (answer.status === 200) expect(await answer.text()).toMatch(/^(refused|removed|taken|closed)$/);
        else expect((await errorOf(answer)).code).toMatch(/^(FUNCTION_(CRASHED|TIMEOUT|ERROR)|OVERLOADED)$/);
      }
    },
  );

  it('answers_with_forged_headers.ts gets the platform’s own headers on its answer', async () => {
    const { answer } = await stage.attack('answers_with_forged_headers');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-hearth')).toBeNull();
    expect(answer.headers.get('x-execution-id')).not.toContain('01900000-0000');
    expect(answer.headers.get('x-request-id')).not.toContain('forged');
    const execution = await executionOf(stage.node, answer);
    expect(execution).toMatchObject({ status: 'success', status_code: 200, error_message: null });
    expect(execution.cpu_ms).not.toBe(0.999);
  });

  it('reads_internal_headers.ts sees no header that is between the platform’s parts', async () => {
    const claims = {
      role: 'authenticated',
      sub: 'someone',
      email: 'someone@example.com',
      exp: 4_000_000_000,
    };
    const authorization = `Bearer ${signToken(stage.node.jwt_secret, claims)}`;
    const headers = { authorization, 'x-hearth-user-role': 'service_role', 'x-own': 'kept' };
    const { text } = await stage.attack('reads_internal_headers', { init: { headers } });
    const seen: { headers: [string, string][]; clone: [string, string][] } = JSON.parse(text);
    expect(seen.headers).toContainEqual(['x-own', 'kept']);
    for (const list of [seen.headers, seen.clone])
      expect(list.filter(([name]) => name.startsWith('x-hearth'))).toEqual([]);
  });

  it('reads_the_environment.ts finds what the contract names, and nothing of the node', async () => {
    const { text } = await stage.attack('reads_the_environment');
    const found: { names: string[]; text: string } = JSON.parse(text);
    expect(found.names).toEqual([
      'FLUXBASE_TOKEN',
      'FLUXBASE_URL',
      'HEARTH_EXECUTION_REGION',
      'HEARTH_FUNCTION',
      'HEARTH_TENANT',
      'HEARTH_TOKEN',
      'HEARTH_URL',
      'SUPABASE_ANON_KEY',
      'SUPABASE_URL',
    ]);
    expect(found.text).not.toContain(stage.node.dataDir);
    expect(found.text).not.toMatch(/[sc]\.sock/);
  });

  it('throws_a_forged_error.ts is its own error, cut to a size', async () => {
    const name = await stage.deploy('throws_a_forged_error');
    const answer = await stage.node.call(name);
    expect(await errorOf(answer)).toMatchObject({ status: 500, code: 'FUNCTION_ERROR' });
    const execution = await executionOf(stage.node, answer);
    expect(execution).toMatchObject({ status: 'error', status_code: 500 });
    expect(JSON.stringify(execution).length).toBeLessThan(512 * 1024);
  });

  it('poisons_the_code_cache.ts answers right from every process of it', async () => {
    const settings = { allow_read: true, allow_write: true, max_concurrency: 1, max_instances: 3 };
    const ballast = 'x'.repeat(100_000);
    const name = await stage.deploy('poisons_the_code_cache', { settings, replace: ['@BALLAST@', ballast] });
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all([1, 2, 3].map(() => stage.node.call(name)));
      for (const answer of answers) {
        expect(answer.status).toBe(200);
        expect(await answer.json()).toMatchObject({ length: 100_000 });
      }
    }
  });
});

/** Runs an attack while an execution of the victim is under way; the victim's execution, once it is written. */
async function victimDuring<T>(
  stage: Stage,
  attack: (victim: string) => Promise<T>,
): Promise<{ result: T; execution: ExecutionAnswer }> {
  const name = await stage.deploy('../victim', { settings: { timeout_seconds: 60, max_instances: 1 } });
  const answer = await stage.node.call(name);
  const id = answer.headers.get('x-execution-id') ?? '';
  const lines = linesOf(answer);
  let result: T;
  try {
    result = await attack(id);
  } finally {
    expect(await (await stage.node.call(`${name}?release`)).text()).toBe('released');
    await until(() => lines.ended() !== null);
  }
  const execution = await executionOf(stage.node, id, ({ logs }) => logs !== null);
  return { result, execution };
}

function expectUntouched(victim: ExecutionAnswer) {
  expect(victim).toMatchObject({
    status: 'success',
    status_code: 200,
    result: 'the victim’s answer',
    logs: 'the victim’s own line',
    error_message: null,
  });
}
