/** `npm run simulate`: the trace that it makes, the one that it reads, and what it says of the policy. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const program = fileURLToPath(new URL('../bench/simulate/main.mjs', import.meta.url));

async function simulate(...args: string[]): Promise<string> {
  return (await run(process.execPath, [program, ...args], { maxBuffer: 16 * 1024 * 1024 })).stdout;
}

/** Cold starts, median and 75th percentile in %, waste in GiB h, processes started. */
function rowOf(output: string, name: string): number[] {
  const line = output.split('\n').find((each) => each.startsWith(`${name}  `));
  return (line?.slice(name.length).match(/[\d.]+/g) ?? []).map(Number);
}

describe('npm run simulate', () => {
  it('makes the same trace for the same seed, as popular and triggered as published, and the policy beats a fixed window', async () => {
    const [output, again] = await Promise.all([
      simulate('--functions', '400', '--days', '3', '--list'),
      simulate('--functions', '400', '--days', '3', '--list'),
    ]);
    expect(again).toBe(output);
    const functions: { trigger: string; calls: number; memoryMib: number }[] = output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
    const share = (holds: (fn: (typeof functions)[number]) => boolean) =>
      functions.filter(holds).length / functions.length;
    // "Serverless in the Wild": 45 % at most one call an hour, 81 % at most one a minute, 15.6 % by timers.
    expect(Math.abs(share(({ calls }) => calls <= 3 * 24) - 0.45)).toBeLessThan(0.05);
    expect(Math.abs(share(({ calls }) => calls <= 3 * 1440) - 0.81)).toBeLessThan(0.05);
    expect(Math.abs(share(({ trigger }) => trigger === 'timer') - 0.156)).toBeLessThan(0.05);
    const calls = functions.map((fn) => fn.calls).sort((one, other) => other - one);
    const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
    expect(sum(calls.slice(0, Math.round(0.186 * calls.length))) / sum(calls)).toBeGreaterThan(0.996);
    const [fixed] = rowOf(output, 'fixed 10 minutes');
    const [policy] = rowOf(output, 'policy at the waste of fixed 10');
    expect(policy).toBeLessThan(0.5 * (fixed ?? 0));
  });

  it("reads traces in the layout of Azure's, over several days and by application", async () => {
    const dir = await mkdtemp(join(tmpdir(), 'hearth-trace-'));
    const header = [
      'HashOwner',
      'HashApp',
      'HashFunction',
      'Trigger',
      ...Array.from({ length: 1440 }, (_, at) => at + 1),
    ];
    const line = (app: string, name: string, called: number[]) =>
      [
        'o',
        app,
        name,
        'timer',
        ...Array.from({ length: 1440 }, (_, at) => (called.includes(at) ? 3 : 0)),
      ].join();
    const write = async (day: number, lines: string[]) => {
      const path = join(dir, `invocations_per_function_md.anon.d0${day}.csv`);
      await writeFile(path, [header.join(), ...lines, ''].join('\r\n'));
      return path;
    };
    try {
      // Every half an hour; and two functions of one application, the second ten minutes after the first.
      const half = Array.from({ length: 48 }, (_, at) => at * 30);
      const one = await write(1, [line('a', 'f', half), line('b', 'g', [100]), line('b', 'h', [110])]);
      const two = await write(2, [line('a', 'f', half)]);
      const memory = join(dir, 'memory.csv');
      await writeFile(memory, 'HashOwner,HashApp,SampleCount,AverageAllocatedMb\no,a,9,1024\no,b,9,60\n');
      const output = await simulate('--trace', one, two, '--memory', memory);
      expect(output).toContain('3 functions, 294 calls, 2 days');
      const [cold, , , , waste] = rowOf(output, 'fixed 10 minutes');
      expect(cold).toBe(96 + 2);
      expect(waste).toBe(Math.round((96 * 10 + (20 * 60) / 1024) / 60));
      // It learns the half hour from three calls.
      expect(rowOf(output, 'policy')[0]).toBe(3 + 2);
      const byApp = await simulate('--trace', one, two, '--memory', memory, '--by', 'app');
      expect(byApp).toContain('2 functions, 294 calls, 2 days');
      expect(rowOf(byApp, 'fixed 10 minutes')[0]).toBe(96 + 1);
      await expect(simulate('--trace', memory)).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringContaining('does not begin with HashOwner,HashApp,HashFunction'),
      });
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
