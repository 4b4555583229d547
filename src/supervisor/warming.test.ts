import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { functionMeta } from '../../test/support/functions.js';
import { createWarming } from './warming.js';

/** Runs that end when they are told to, by the name of their function. */
function started(change: { mayRun?: () => boolean } = {}) {
  const runs: string[] = [];
  const errors: unknown[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const warming = createWarming({
    mayRun: () => true,
    run: ({ name, version }) =>
      new Promise((resolve, reject) => {
        runs.push(`${name} ${version}`);
        ends.set(name, (error) => (error === undefined ? resolve() : reject(error)));
      }),
    onError: (error) => errors.push(error),
    ...change,
  });
  const deploy = (name: string, version = 1, enabled = true) =>
    warming.deployed(functionMeta({ id: name, name, version, enabled }));
  const end = async (name: string, error?: Error) => {
    ends.get(name)?.(error);
    await turn();
  };
  return { warming, runs, errors, deploy, end };
}

it('runs one module after another, each by its newest version, and goes on after a failure', async () => {
  const { runs, errors, deploy, end } = started();
  deploy('a');
  deploy('b');
  deploy('c');
  deploy('b', 2);
  deploy('off', 1, false);
  expect(runs).toEqual(['a 1']);
  await end('a', new Error('no process'));
  await end('c');
  await end('b');
  expect(runs).toEqual(['a 1', 'c 1', 'b 2']);
  expect(errors).toMatchObject([{ message: 'no process' }]);
  deploy('d');
  expect(runs.at(-1)).toBe('d 1');
});

it('leaves those that have waited longest to their first call when there are too many', async () => {
  const { runs, deploy, end } = started();
  for (let n = 0; n <= 101; n++) deploy(`f${n}`);
  await end('f0');
  expect(runs).toEqual(['f0 1', 'f2 1']);
});

it('runs nothing where there is no room, and nothing more once it is stopped', async () => {
  let room = false;
  const full = started({ mayRun: () => room });
  full.deploy('a');
  await turn();
  expect(full.runs).toEqual([]);
  room = true;
  full.deploy('b');
  expect(full.runs).toEqual(['b 1']);

  const { warming, runs, deploy, end } = started();
  deploy('a');
  deploy('b');
  const stopped = warming.stop();
  await end('a');
  await stopped;
  deploy('c');
  expect(runs).toEqual(['a 1']);
});
