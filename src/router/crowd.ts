/** How many connections and calls a router has, for those who do a thing otherwise when there are few. */
import type { BusyPoll } from './busy_poll.js';

export class Crowd {
  connections = 0;
  /** In flight at processes, in frames. */
  calls = 0;

  /** @param few connections from which on the node's cores are all busy (supervisor/placement.ts). */
  constructor(
    private readonly few: number,
    readonly poll: BusyPoll,
  ) {}

  /** Whether the node has so few connections, as far as this router can tell, that its cores are not all busy. */
  isSmall(): boolean {
    return this.connections < this.few;
  }
}
