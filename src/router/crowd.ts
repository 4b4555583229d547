/** How many connections a router serves, for those who do a thing otherwise when there are few. */

export class Crowd {
  connections = 0;

  /** @param bunch connections that a router gets before the next one gets any (supervisor/placement.ts). */
  constructor(private readonly bunch: number) {}

  /** Whether the node has so few connections, as far as this router can tell, that its cores are not all busy. */
  isSmall(): boolean {
    return this.connections < this.bunch;
  }
}
