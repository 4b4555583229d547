/** A user of its own for each process, where the node may give them out (as root): none can read another's files or memory. */

export interface UserIds {
  /** An id (user and group alike) that no process of this node has; null when all are taken. */
  take(): number | null;
  release(id: number): void;
}

/**
 * The highest range that systemd's list of user ids leaves free (systemd.io/UIDS-GIDS): 2^28 ids from here. No user of
 * the machine has one of them.
 */
const FIRST = 1_879_048_192;
/** Ids of one node: more than HEARTH_MAX_PROCESSES and HEARTH_POOL_SIZE can ask for. */
const PER_NODE = 2 ** 14;
const NODES = 2 ** 14;

/** `pid` is the node's: two nodes on one machine have different ids, unless their pids differ by a multiple of 16,384. */
export function createUserIds(pid: number): UserIds {
  const first = FIRST + (pid % NODES) * PER_NODE;
  const free: number[] = [];
  let unused = 0;
  return {
    take: () => free.shift() ?? (unused < PER_NODE ? first + unused++ : null),
    release: (id) => void free.push(id),
  };
}
