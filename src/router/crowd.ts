/** How many connections and calls a router has, for those who do a thing otherwise when there are few. */
import type { BusyPoll } from './busy_poll.js';

export class Crowd {
  connections = 0;
  /** In flight at processes, in frames. */
  calls = 0;

  /** @param bunch connections that a router gets before the next one gets any (supervisor/placement.ts). */
  constructor(
    private readonly bunch: number,
    readonly poll: BusyPoll,
  ) {}

  /** Whether the node has so few connections, as far as this router can tell, that its cores are not all busy. */
  isSmall(): boolean {
    return this.connections < this.bunch;
  }
}
