// Memory of a node from /proc: every process below it, by what it is. Linux only.
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';

/** `[{ pid, kind, rss, pss, specialised }]`, in MiB; null where there is no /proc. */
export function processesBelow(root) {
  if (!existsSync('/proc/self/smaps_rollup')) return null;
  const children = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = attempt(
      () =>
        readFileSync(`/proc/${name}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ')[1],
    );
    if (parent !== undefined)
      children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(name)]);
  }
  const found = [];
  const visit = (pid, parent) => {
    const process = attempt(() => read(pid, pid === root, parent));
    if (process !== undefined) found.push(process);
    for (const child of children.get(pid) ?? []) visit(child, process);
  };
  visit(root, undefined);
  return found;
}

function read(pid, isRoot, parent) {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mib = (field) => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0) / 1024;
  const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  const program = basename(readlinkSync(`/proc/${pid}/exe`));
  const kind = program !== 'node' ? program : isRoot ? 'supervisor' : 'router';
  // A process that has been claimed has its function's code in its folder.
  const dir = /[^\0=,]*hearth-run-[^\0/]+\/p\d+/.exec(line)?.[0] ?? parent?.dir;
  const specialised = program === 'deno' && dir !== undefined && statSync(`${dir}/code/main.js`).size > 0;
  return { pid, kind, rss: mib('Rss'), pss: mib('Pss'), dir, specialised };
}

/** Processes come and go while they are being read: one that is gone has no memory. */
function attempt(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}
