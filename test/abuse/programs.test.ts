/** Attacks on processes: running programs, loading native code, signals, and every way to end. */
import { expect, it } from 'vitest';
import { errorOf, executionOf } from '../support/answers.js';
import { underEachSandbox } from './stage.js';

underEachSandbox('programs', (stage) => {
  it.each([
    'runs_a_program',
    'runs_a_program_through_node',
    'loads_native_code',
    'uses_the_gpu',
    'reads_system_information',
    'starts_the_debugger',
  ])('%s.ts gets nothing of it', async (file) => {
    const open = await stage.waysOpen(file, {
      settings: { allow_read: true, allow_write: true },
      mayEnd: file === 'starts_the_debugger', // by the signal, where no sandbox keeps it off
    });
    expect(open).toEqual(stage.openWays(file));
  });

  it('signals_others.ts reaches no one', async () => {
    const open = await stage.waysOpen('signals_others', { json: { supervisor: stage.node.process.pid } });
    expect(open).toEqual(stage.openWays('signals_others'));
  });

  it('kills_itself.ts cannot, or is a 502 for its own caller', async () => {
    const name = await stage.deploy('kills_itself', { settings: { timeout_seconds: 20 } });
    const answer = await stage.node.call(name);
    // The first process of a sandbox is deaf to most signals from within; without one, they end it.
    if (answer.status === 200) expect(await answer.text()).toBe('still here');
    else expect(await errorOf(answer)).toMatchObject({ status: 502, code: 'FUNCTION_CRASHED' });
  });

  it('stops_itself.ts cannot, or is a 504 for its own caller', async () => {
    const name = await stage.deploy('stops_itself', { settings: { timeout_seconds: 1 } });
    const answer = await stage.node.call(name);
    if (stage.differs('stops_itself'))
      expect(await errorOf(answer)).toMatchObject({ status: 504, code: 'FUNCTION_TIMEOUT' });
    else expect([answer.status, await answer.text()]).toEqual([200, 'still here']);
  });

  it.each(['exits', 'exits_through_node', 'aborts', 'exits_while_loading', 'exits_in_a_worker'])(
    '%s.ts is a 502 for its own caller, or nothing',
    async (file) => {
      const name = await stage.deploy(file, { settings: { memory_limit_mb: 1024 } });
      const answer = await stage.node.call(name);
      if (file === 'exits_in_a_worker' && answer.status === 200)
        return expect(await answer.text()).toBe('still here');
      expect(await errorOf(answer)).toMatchObject({ status: 502, code: 'FUNCTION_CRASHED' });
      expect(await executionOf(stage.node, answer)).toMatchObject({ status: 'error', status_code: 502 });
    },
  );

  it('exits_after_its_answer.ts keeps its answer, and so do the calls after it', async () => {
    const name = await stage.deploy('exits_after_its_answer');
    for (let call = 0; call < 5; call++) {
      const answer = await stage.node.call(name);
      // One that had reached the process when it ended is lost with it.
      if (answer.status === 200) expect(await answer.text()).toBe('answered');
      else expect(await errorOf(answer)).toMatchObject({ status: 502, code: 'FUNCTION_CRASHED' });
    }
  });

  it('ignores_signals.ts is ended all the same', async () => {
    const name = await stage.deploy('ignores_signals', { settings: { timeout_seconds: 1 } });
    const answer = await stage.node.call(name);
    expect(await errorOf(answer)).toMatchObject({ status: 504, code: 'FUNCTION_TIMEOUT' });
  });

  it('sets_the_exit_code.ts is a 502 like any other end', async () => {
    const name = await stage.deploy('sets_the_exit_code');
    const answer = await stage.node.call(name);
    expect(await errorOf(answer)).toMatchObject({ status: 502 });
    expect(await executionOf(stage.node, answer)).toMatchObject({ status: 'error', status_code: 502 });
  });
});
