/** Connections to the database as the server sees them: postgres.js does not tell of its pools. */
import type { Sql } from './connection.js';

export interface Sessions {
  /** As in `application_name`: `hearth-router`, `hearth-supervisor`, … */
  name: string;
  idle: number;
  /** In a query or a transaction. */
  used: number;
}

/** Those of Hearth from this node's address, which nodes on one machine share. @throws when the database does not answer. */
export async function ownSessions(sql: Sql): Promise<Sessions[]> {
  return [
    ...(await sql<Sessions[]>`
      select application_name as name, count(*) filter (where state = 'idle')::int as idle,
        count(*) filter (where state <> 'idle')::int as used
      from pg_stat_activity
      where datname = current_database() and application_name like 'hearth%'
        and client_addr is not distinct from inet_client_addr()
      group by application_name`),
  ];
}
