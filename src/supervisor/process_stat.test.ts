import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { createUsageReader } from './process_stat.js';

const usage = createUsageReader();

/** Works for a while, is called what would confuse who reads it, and says when that is so. */
const WORKS = `
  for (const end = Date.now() + 300; Date.now() < end; );
  const { user, system } = process.cpuUsage();
  const told = JSON.stringify({ cpuMs: (user + system) / 1000, memory: process.memoryUsage.rss() });
  process.title = 'x) R 1 2 (3';
  console.log(told);
  setInterval(() => {}, 1000);`;

it('tells memory in bytes and CPU in ms, whatever a process is called, and leaves out what is gone', async () => {
  const child = spawn(process.execPath, ['-e', WORKS], { stdio: ['ignore', 'pipe', 'inherit'] });
  const pid = child.pid ?? 0;
  try {
    const [line] = await once(child.stdout, 'data');
    const told = JSON.parse(String(line)) as { cpuMs: number; memory: number };
    const read = await usage.read([pid, 2 ** 22 + 1]);
    expect([...read.keys()]).toEqual([pid]);
    const { cpuMs = 0, memory = 0 } = read.get(pid) ?? {};
    expect(cpuMs).toBeGreaterThan(told.cpuMs - 30); // it is told in hundredths of seconds
    expect(cpuMs).toBeLessThan(told.cpuMs + 1_000);
    expect(Math.abs(memory / told.memory - 1)).toBeLessThan(0.3);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  expect(await usage.read([pid])).toEqual(new Map());
});
