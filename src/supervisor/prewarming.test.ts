/** A function's process that is started ahead, with real Deno processes and a clock that jumps. */
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { functionMeta } from '../../test/support/functions.js';
import { createCodeCache } from '../pool/code_cache.js';
import { findDeno } from '../pool/deno_binary.js';
import { createPool, type Pool } from '../pool/main.js';
import type { DenoProcess } from '../pool/process.js';
import { findTools } from '../pool/sandbox.js';
import { chooseSandbox } from '../pool/sandbox_choice.js';
import { createClaims } from './claims.js';
import { createFleet } from './fleet.js';
import { createFunctionCode } from './function_code.js';
import type { ToRouter } from './protocol.js';

const MINUTE = 60_000;
const CODE = `console.log('loaded'); export default () => 'ok';`;
const runnerPath = fileURLToPath(new URL('../../dist/pool/runner.js', import.meta.url));

const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 20_000 });

const releasers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const release of releasers.reverse()) await release();
});

/** A pool of real processes and the fleet on it, for one function. */
async function setUp() {
  const base = await mkdtemp(join(tmpdir(), 'hearth-test-'));
  releasers.push(() => rm(base, { recursive: true, force: true }));
  await chmod(base, 0o755);
  const runDir = join(base, 'run');
  await mkdir(runDir);
  const errors: unknown[] = [];
  const grants: Extract<ToRouter, { t: 'grant' }>[] = [];
  const outcomes: string[] = [];
  const processes = new Map<number, DenoProcess>();
  let loads = 0;
  let jumped = 0;
  const fn = functionMeta({ hash: createHash('sha256').update(CODE).digest('hex') });
  const sandbox = await chooseSandbox({
    asked: 'auto',
    tools: findTools(process.env.PATH),
    denoPath: findDeno(),
    runnerPath,
    runDir,
    denyNet: [],
    ipv6: false,
  });
  const pool: Pool = await createPool({
    runDir,
    memoryDir: null,
    sandbox,
    cacheDir: join(base, 'cache'),
    size: 1,
    onBlank: () => {},
    onEnded: (process) => void process.ended.then(({ reason }) => fleet.ended(process.id, reason)),
    onSpawned: () => {},
    onError: (error) => errors.push(error),
  });
  releasers.push(() => pool.stop());
  const fleet = createFleet({
    now: () => Date.now() + jumped,
    keepAlive: { fixedMs: 10 * MINUTE },
    maxInstances: 10,
    memoryMib: 1_000,
    quotaOf: () => null,
    onQueueWait: () => {},
    onPrewarmed: (_, outcome) => outcomes.push(outcome),
    actions: {
      start: (instance) => claims.start(instance),
      end: (instance, reason) => processes.get(instance.address?.process ?? 0)?.kill(reason),
      trim: (instance) => processes.get(instance.address?.process ?? 0)?.trim(),
      isHeld: () => false,
      send: (_, message) => {
        if (message.t === 'grant') grants.push(message);
      },
      broadcast: () => {},
    },
  });
  const claims = createClaims({
    pool,
    code: createFunctionCode({
      code: await createCodeCache({ dir: join(base, 'code'), engine: 'this', maxBytes: 1_000_000 }),
      engine: 'this',
      loadBundle: async () => CODE,
      loadCache: async () => null,
      storeCache: async () => {},
      onError: (error) => errors.push(error),
    }),
    fleet,
    environment: () => ({}),
    secrets: async () => ({ env: {}, redact: null }),
    tracing: { spans: false, logs: false },
    events: () => ({
      onLog: (_, lines) => {
        loads += lines.length;
      },
      onSpan: () => {},
      onEnd: () => {},
    }),
    onTaken: (process) => processes.set(process.id, process),
    onClaimed: () => {},
    onError: (error) => errors.push(error),
  });
  fleet.setFunction(fn);
  fleet.routerUp(1);
  let call = 0;
  return {
    fleet,
    grants,
    outcomes,
    errors,
    processes,
    loads: () => loads,
    states: () => [...fleet.instances()].map(({ state }) => state),
    pass(minutes: number) {
      jumped += minutes * MINUTE;
      fleet.tick();
    },
    async callOnce() {
      fleet.acquire(1, 'f', ++call);
      await eventually(() => grants.length).toBe(1);
      const [grant] = grants.splice(0);
      if (grant === undefined) throw new Error('the call got no slot');
      await eventually(() => [...fleet.instances()].map(({ state }) => state)).toEqual(['live']);
      fleet.usage(1, grant.to.process, 0, 1, null);
      fleet.release(1, grant.to.process, grant.slots);
      return grant;
    },
  };
}

it('has loaded its module before the call that it was started for, which is a warm one', async () => {
  const { fleet, grants, outcomes, errors, processes, loads, states, pass, callOnce } = await setUp();
  for (let n = 0; n < 3; n++) {
    if (n > 0) pass(30);
    await callOnce();
  }
  await eventually(loads).toBe(3); // the fixed window is shorter
  pass(1.1);
  await eventually(states).toEqual([]);
  pass(28);
  await eventually(states).toEqual(['live']);
  await eventually(loads).toBe(4);
  pass(1);
  fleet.acquire(1, 'f', 100);
  // At once, without a turn of the event loop.
  expect(grants).toMatchObject([{ call: 100, loaded: true }]);
  expect(await processes.get(grants[0]?.to.process ?? 0)?.ping(20_000)).toBe(true);
  expect(outcomes).toEqual(['used']);
  expect(errors).toEqual([]);
});
