/** The tenants of this installation. */
import type { Sql } from './connection.js';

export interface Tenants {
  count(): Promise<number>;
}

export function createTenants(sql: Sql): Tenants {
  return {
    async count() {
      const [row] = await sql<{ count: number }[]>`select count(*)::int as count from tenants`;
      return row?.count ?? 0;
    },
  };
}
