/** The replacement of HEARTH_SECRET_KEY: whether everything that is stored sealed can be opened, and sealing it anew. */
import type { Sealer } from '../sealing.js';
import type { Queries, Sql } from './connection.js';
import { placeOfJwtSecret } from './jwt_secrets.js';
import { placeOfSecret } from './secrets.js';

export interface Resealing {
  /** Rows that were sealed with keys that are not known here, by the keys' ids. Empty when all can be opened. */
  unknown(): Promise<{ keyId: string; rows: number }[]>;
  /** Seals with the current key what another known key has sealed, some rows at a time, until `stopped` says so. */
  run(stopped: () => boolean): Promise<Resealed>;
}

/** Counted in rows. */
export interface Resealed {
  resealed: number;
  /** Damaged, or sealed with a key that is not known here: left as they are. */
  failed: number;
}

/** Rows of one transaction: locked for a few ms. */
const BATCH_ROWS = 50;

export function createResealing(sql: Sql, sealer: Sealer): Resealing {
  async function secretsAfter(sql: Queries, after: string): Promise<Row[]> {
    const rows = await sql<
      { id: string; tenant: string; function_id: string | null; name: string; sealed: string }[]
    >`
      select id, tenant, function_id, name, sealed from secrets
      where key_id <> ${sealer.keyId} and id > ${after}
      order by id limit ${BATCH_ROWS} for update`;
    return rows.map(({ id, tenant, function_id, name, sealed }) => {
      const place = placeOfSecret(tenant, function_id, name);
      return {
        id,
        sealed,
        place,
        write: async (fresh, value) => {
          const columns = { sealed: fresh, key_id: sealer.keyId, digest: sealer.digest(value, tenant) };
          await sql`update secrets set ${sql(columns)} where id = ${id}`;
        },
      };
    });
  }

  async function jwtSecretsAfter(sql: Queries, after: string): Promise<Row[]> {
    const rows = await sql<{ id: string; tenant: string; sealed: string }[]>`
      select id, tenant, sealed from tenant_jwt_secrets
      where split_part(sealed, '.', 1) <> ${sealer.keyId} and id > ${after}
      order by id limit ${BATCH_ROWS} for update`;
    return rows.map(({ id, tenant, sealed }) => ({
      id,
      sealed,
      place: placeOfJwtSecret(tenant, id),
      write: async (fresh) => {
        await sql`update tenant_jwt_secrets set sealed = ${fresh} where id = ${id}`;
      },
    }));
  }

  async function resealAll(
    rowsAfter: (sql: Queries, id: string) => Promise<Row[]>,
    done: Resealed,
    stopped: () => boolean,
  ): Promise<void> {
    for (let last: string | undefined = FIRST; last !== undefined && !stopped(); ) {
      const after: string = last;
      last = await sql.transaction(async (sql) => {
        const rows = await rowsAfter(sql, after);
        for (const row of rows) {
          const value = open(row);
          if (value === null) done.failed++;
          else {
            await row.write(sealer.seal(value, row.place), value);
            done.resealed++;
          }
        }
        return rows.at(-1)?.id;
      });
    }
  }

  function open({ sealed, place }: Row): string | null {
    try {
      return sealer.open(sealed, place);
    } catch {
      return null; // a SealError: nothing else can be thrown for a text
    }
  }

  return {
    async unknown() {
      const rows = await sql<{ keyId: string; rows: number }[]>`
        select key_id as "keyId", count(*)::int as rows from (
          select key_id from secrets
          union all
          select split_part(sealed, '.', 1) from tenant_jwt_secrets
        ) as sealed_rows (key_id) group by key_id order by key_id`;
      return [...rows].filter(({ keyId }) => !sealer.knows(keyId));
    },
    async run(stopped) {
      const done = { resealed: 0, failed: 0 };
      await resealAll(secretsAfter, done, stopped);
      await resealAll(jwtSecretsAfter, done, stopped);
      return done;
    },
  };
}

interface Row {
  id: string;
  sealed: string;
  place: string;
  write(fresh: string, value: string): Promise<void>;
}

/** The UUID before all others. */
const FIRST = '00000000-0000-0000-0000-000000000000';
