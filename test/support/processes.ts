/** The processes of a node as the system shows them (proc(5)): all that descend from it, and what each one is. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SystemProcess {
  pid: number;
  parent: number;
  /** With the pid it names one process for ever: numbers are used again, times are not. */
  startTime: string;
  command: string;
}

/** Every process that lives; those that have ended and only wait to be reaped do not. */
export function allProcesses(): SystemProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const found = read(Number(name));
      return found === null ? [] : [found];
    });
}

/** `pid` and all below it. */
export function processTree(pid: number): SystemProcess[] {
  const all = allProcesses();
  const tree = all.filter((process) => process.pid === pid);
  for (const process of tree) tree.push(...all.filter((child) => child.parent === process.pid));
  return tree;
}

export function isRunning(process: SystemProcess): boolean {
  return read(process.pid)?.startTime === process.startTime;
}

/** Whatever runs with one of these texts in its command line, wherever it hangs. */
export function mentioning(...texts: string[]): SystemProcess[] {
  return allProcesses().filter(
    ({ pid, command }) => pid !== process.pid && texts.some((text) => command.includes(text)),
  );
}

/** The router processes of a node, by the supervisor's pid. */
export function routersOf(supervisor: number): SystemProcess[] {
  return processTree(supervisor).filter(
    ({ pid, parent, command }) =>
      parent === supervisor && /dist\/main\.js/.test(command) && isClusterWorker(pid),
  );
}

/** A child that has not become its program yet has the command line of its parent: the environment tells them apart. */
function isClusterWorker(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').includes('NODE_UNIQUE_ID=');
  } catch {
    return false; // it has ended while it was being read
  }
}

/** The Deno processes of a node that have become a function of which the code has `text` in it. */
export function denoProcessesOf(supervisor: number, text: string): SystemProcess[] {
  const tree = processTree(supervisor);
  return tree.flatMap((process) => {
    if (process.parent !== supervisor) return [];
    const folder = folderIn(process);
    if (folder === undefined || !codeIn(folder).includes(text)) return [];
    // Behind bubblewrap it is the child; without, it is this process itself.
    return [tree.find(({ parent }) => parent === process.pid) ?? process];
  });
}

/** The temporary folders of the node with this pid: for its processes, on the disk and in memory, and of its database. */
export function foldersOf(pid: number | undefined, kind: 'run' | 'pg' | 'any' = 'any'): string[] {
  const own = new RegExp(`/hearth-${kind === 'any' ? '(run|pg)' : kind}-${pid}-[^/]*$`);
  return [tmpdir(), '/dev/shm']
    .filter(existsSync)
    .flatMap((base) => readdirSync(base).map((name) => join(base, name)))
    .filter((path) => own.test(path));
}

/** The folder of the process of a node that has become a function of which the code has `text` in it. */
export function folderOf(supervisor: number, text: string): string | undefined {
  return processTree(supervisor)
    .filter(({ parent }) => parent === supervisor)
    .map(folderIn)
    .find((folder) => folder !== undefined && codeIn(folder).includes(text));
}

function folderIn({ command }: SystemProcess): string | undefined {
  return /\/[^\s,]*\/hearth-run-[^/\s]+\/p\d+(?=\/)/.exec(command)?.[0];
}

function codeIn(folder: string): string {
  try {
    return readFileSync(`${folder}/code/main.js`, 'utf8');
  } catch {
    return ''; // still blank
  }
}

function read(pid: number): SystemProcess | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name stands in parentheses and may have any character in it.
    const [state, parent, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return null;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { pid, parent: Number(parent), startTime: rest[17] ?? '', command };
  } catch {
    return null; // it has ended while it was being read
  }
}
