// Looks for other processes, and into their environments, memory and folders.
import { tries } from '../tries.ts';

const text = async (path: string) => (await import(`file://${path}`, { with: { type: 'text' } })).default;
const both = (path: string) => Promise.any([text(path), Deno.readTextFile(path)]);

export default async (request: Request) => {
  const { supervisor } = await request.json();
  const some = Array.from({ length: 300 }, (_, index) => Number(supervisor) - 50 + index);
  return await tries({
    supervisor: () => both(`/proc/${supervisor}/environ`),
    supervisor_command: () => both(`/proc/${supervisor}/cmdline`),
    supervisor_root: () => both(`/proc/${supervisor}/root/etc/passwd`),
    supervisor_memory: () => both(`/proc/${supervisor}/mem`),
    parent: () => both(`/proc/${Deno.ppid}/environ`),
    others: () =>
      Promise.any(some.filter((pid) => pid !== Deno.pid).map((pid) => both(`/proc/${pid}/environ`))),
    list: () => Deno.readDirSync('/proc').next().value,
  });
};
