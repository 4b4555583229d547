/** Which router a new connection goes to: a pure decision. */

/** Of one router. */
export interface RouterLoad {
  id: number;
  /** Connections that it has. */
  connections: number;
}

/**
 * Connections that a router gets before the next one gets any. What one turn of its event loop brings is sent on
 * together, so a few connections cost far less at one router than spread over all; but with cores to spare, routers side
 * by side answer sooner. Two cores have none to spare: the processes and the database need the other one (decision 25).
 *
 * @param cores of the machine.
 */
export function bunchOf(cores: number): number {
  return cores === 2 ? 128 : fewOf(cores);
}

/** Connections of one router from which on the node's cores are all busy. */
export function fewOf(cores: number): number {
  return Math.max(1, Math.floor(64 / cores));
}

/** The id of the first router with the fewest whole bunches; null where there is none. */
export function placeConnection(routers: Iterable<RouterLoad>, bunch: number): number | null {
  let best: number | null = null;
  let fewest = Number.POSITIVE_INFINITY;
  for (const { id, connections } of routers) {
    const bunches = Math.floor(connections / bunch);
    if (bunches >= fewest) continue;
    best = id;
    fewest = bunches;
  }
  return best;
}
