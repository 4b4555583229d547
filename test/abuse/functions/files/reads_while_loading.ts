// Reads files while its module loads, when the process may still do more than later.
import { tries } from '../tries.ts';

const text = async (path: string) => (await import(`file://${path}`, { with: { type: 'text' } })).default;
const run = Deno.args[0] ?? '/fn/run/s.sock';
const folder = run.replace(/\/[^/]*\/[^/]*\/[^/]*$/, '');
const neighbours = Array.from({ length: 60 }, (_, id) => `${folder}/p${id}`).filter(
  (each) => !run.startsWith(`${each}/`),
);
const found = await tries({
  passwd: () => Deno.readTextFile('/etc/passwd'),
  passwd_by_import: () => text('/etc/passwd'),
  supervisor: () => text(`/proc/${Deno.ppid}/environ`),
  supervisor_by_deno: () => Deno.readTextFile(`/proc/${Deno.ppid}/environ`),
  neighbours_code: () => Promise.any(neighbours.map((each) => text(`${each}/code/main.js`))),
  neighbours_folders: () => [...Deno.readDirSync(folder)].map(({ name }) => name).join(),
});
export default () => found;
