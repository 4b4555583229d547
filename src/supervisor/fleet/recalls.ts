/** Which slots routers are asked to give back for calls that wait elsewhere: a pure decision. */
import type { Instance } from './instance.js';

interface Waiting {
  instances: Iterable<Pick<Instance, 'state' | 'stuck' | 'leases' | 'leased'>>;
  waiters: { values(): Iterable<Waiter>; peek(): Waiter | undefined };
}

interface Waiter {
  router: number;
  since: number;
}

/** ms that the first call in a queue waits for a slot of its own router before it gets one of another's. */
const PATIENCE_MS = 250;

/**
 * The slots that there are belong to the calls that came first: a router that holds more of them than it has such
 * calls is asked for the rest. Where the first of all waits for a router's own slow calls, another router gives one.
 */
export function slotsToRecall(
  { instances, waiters }: Waiting,
  now: number,
): { router: number; slots: number }[] {
  const held = new Map<number, number>();
  let total = 0;
  for (const instance of instances) {
    if (instance.state === 'draining' || instance.state === 'gone' || instance.stuck) continue;
    for (const [router, slots] of instance.leases) held.set(router, (held.get(router) ?? 0) + slots);
    total += instance.leased;
  }
  const next = new Map<number, number>();
  for (const waiter of waiters.values()) {
    if (total-- <= 0) break;
    next.set(waiter.router, (next.get(waiter.router) ?? 0) + 1);
  }
  let need = 0;
  for (const [router, calls] of next) need += Math.max(0, calls - (held.get(router) ?? 0));
  const first = waiters.peek();
  const overdue = need === 0 && first !== undefined && now - first.since > PATIENCE_MS;
  if (overdue) need = 1;
  const asked: { router: number; slots: number }[] = [];
  for (const [router, slots] of held) {
    if (need <= 0) break;
    const spare = overdue ? Number(router !== first?.router) : slots - (next.get(router) ?? 0);
    const ask = Math.min(need, spare);
    if (ask <= 0) continue;
    need -= ask;
    asked.push({ router, slots: ask });
  }
  return asked;
}
