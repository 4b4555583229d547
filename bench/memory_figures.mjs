// The memory figures: a node that has just started and done nothing, and its processes once they have a function.
import { setTimeout as sleep } from 'node:timers/promises';
import { processesBelow } from './memory.mjs';
import { poolIsFull } from './peers/hearth.mjs';
import { figure, median, round } from './statistics.mjs';

const sum = (values) => values.reduce((total, value) => total + value, 0);

export async function measureMemory(node) {
  await poolIsFull(node);
  const processes = processesBelow(node.pid);
  if (processes === null) return {};
  const parts = {};
  for (const { kind, rss, pss } of processes) {
    parts[kind] ??= { processes: 0, rss: 0, pss: 0 };
    const part = parts[kind];
    part.processes++;
    part.rss += rss;
    part.pss += pss;
  }
  for (const part of Object.values(parts)) {
    part.rss = round(part.rss);
    part.pss = round(part.pss);
  }
  figure('idle_node_rss', sum(processes.map(({ rss }) => rss)), 'MiB', { parts });
  figure('idle_node_pss', sum(processes.map(({ pss }) => pss)), 'MiB');
  const blank = processes.filter(({ kind }) => kind === 'deno');
  figure('idle_blank_process_rss', median(blank.map(({ rss }) => rss)), 'MiB', { processes: blank.length });
  return {};
}

/** ms after its last call in which a process has given back what it does not need (docs/keepalive.md). */
const TRIMMED_MS = 36_000;

/** After the cold calls: each of these has served one call and is idle since. */
export async function measureSpecialised(node) {
  await sleep(TRIMMED_MS);
  const idle = (processesBelow(node.pid) ?? []).filter(({ specialised }) => specialised);
  if (idle.length === 0) return {};
  const specialisedRss = median(idle.map(({ rss }) => rss));
  const most = round(Math.max(...idle.map(({ rss }) => rss)));
  figure('idle_specialised_process_rss', specialisedRss, 'MiB', { most, processes: idle.length });
  figure('idle_specialised_process_pss', median(idle.map(({ pss }) => pss)), 'MiB');
  return { specialisedRss };
}
