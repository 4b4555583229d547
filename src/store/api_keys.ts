/** API and service keys: of each the hash and what it may do, never the key itself. */
import { timingSafeEqual } from 'node:crypto';
import { HearthError } from '../errors.js';
import type { KeyKind } from '../tokens.js';
import { noteAction } from './audit.js';
import { authorOf } from './author.js';
import type { Queries, Sql } from './connection.js';
import type { Actor } from './types.js';

export interface ApiKey {
  id: string;
  tenant: string;
  kind: KeyKind;
  name: string;
  /** Its first characters, for lists. */
  prefix: string;
  scopes: string[];
  /** Names of the functions that it may call; null: all. */
  functions: string[] | null;
  /** Addresses and ranges that it may come from; null: any. */
  source_ranges: string[] | null;
  expires_at: Date | null;
  last_used_at: Date | null;
  created_at: Date;
  created_by: string | null;
}

export type NewApiKey = Omit<ApiKey, 'id' | 'last_used_at' | 'created_at' | 'created_by'> & {
  /** SHA-256, hex. */
  hash: string;
};

export interface ApiKeys {
  /** @throws HearthError CONFLICT when the tenant has MAX_KEYS of them. */
  insert(added: NewApiKey, actor: Actor): Promise<ApiKey>;
  /** Newest first; MAX_KEYS at most. */
  list(tenant: string): Promise<ApiKey[]>;
  find(tenant: string, id: string): Promise<ApiKey | null>;
  /** The SHA-256 (hex) of the key that is gone; null: there was none. */
  remove(tenant: string, id: string, actor: Actor): Promise<string | null>;
  /** Of any tenant, by SHA-256 (hex); those that are not there are left out. */
  byHashes(hashes: string[]): Promise<Map<string, ApiKey>>;
  /** Ids, and when each was used, in Unix ms. */
  noteUse(rows: [id: string, at: number][]): Promise<void>;
}

export const MAX_KEYS = 1_000;

export function createApiKeys(sql: Sql): ApiKeys {
  return {
    insert: (added, actor) =>
      sql.asTenant(added.tenant, async (sql) => {
        // One after another, so that the count holds.
        await sql`select pg_advisory_xact_lock(hashtext(${`keys of ${added.tenant}`}))`;
        const [counted] = await sql<{ count: number }[]>`
          select count(*)::int as count from api_keys where tenant = ${added.tenant}`;
        if ((counted?.count ?? 0) >= MAX_KEYS)
          throw new HearthError(
            'CONFLICT',
            `The tenant has ${MAX_KEYS} keys, and may have no more: delete some.`,
          );
        const { tenant, kind, name, prefix, hash, expires_at } = added;
        const [row] = await sql<ApiKey[]>`
          insert into api_keys (tenant, kind, name, prefix, hash, scopes, functions, source_ranges, expires_at, created_by)
          values (${tenant}, ${kind}, ${name}, ${prefix}, decode(${hash}, 'hex'), ${textArray(sql, added.scopes)},
            ${textArray(sql, added.functions)}, ${textArray(sql, added.source_ranges)}, ${expires_at}, ${authorOf(actor)})
          returning ${columns(sql)}`;
        if (row === undefined) throw new Error('PostgreSQL returned no row for an insert');
        const details = { name, kind, scopes: added.scopes };
        await noteAction(sql, actor, { tenant, action: 'key.create', subject: row.id, details });
        return row;
      }),

    list: (tenant) =>
      sql.asTenant(tenant, async (sql) => [
        ...(await sql<ApiKey[]>`
          select ${columns(sql)} from api_keys where tenant = ${tenant} order by created_at desc, id limit ${MAX_KEYS}`),
      ]),

    find: (tenant, id) =>
      sql.asTenant(tenant, async (sql) => {
        const [row] = await sql<ApiKey[]>`
          select ${columns(sql)} from api_keys where tenant = ${tenant} and id = ${id}`;
        return row ?? null;
      }),

    remove: (tenant, id, actor) =>
      sql.asTenant(tenant, async (sql) => {
        const [row] = await sql<{ hash: string; name: string }[]>`
          delete from api_keys where tenant = ${tenant} and id = ${id} returning encode(hash, 'hex') as hash, name`;
        if (row === undefined) return null;
        const details = { name: row.name };
        await noteAction(sql, actor, { tenant, action: 'key.delete', subject: id, details });
        return row.hash;
      }),

    async byHashes(hashes) {
      const rows = await sql<(ApiKey & { hash: Buffer })[]>`
        select ${columns(sql)}, hash from api_keys
        where hash in (select decode(value, 'hex') from jsonb_array_elements_text(${sql.json(hashes)}))`;
      const asked = new Map(hashes.map((hash) => [hash, Buffer.from(hash, 'hex')]));
      const found = new Map<string, ApiKey>();
      for (const { hash, ...row } of rows) {
        const text = hash.toString('hex');
        const expected = asked.get(text);
        if (expected !== undefined && timingSafeEqual(expected, hash)) found.set(text, row);
      }
      return found;
    },

    async noteUse(rows) {
      // A row that another router is at gets that one's time, which is about the same.
      await sql`
        with used as (
          select (value->>0)::uuid as id, to_timestamp((value->>1)::double precision / 1000) as at
          from jsonb_array_elements(${sql.json(rows)})
        ), free as (
          select k.id, used.at from api_keys k join used on used.id = k.id
          where k.last_used_at is null or k.last_used_at < used.at
          for no key update of k skip locked
        )
        update api_keys set last_used_at = free.at from free where api_keys.id = free.id`;
    },
  };
}

/** Arrays as JSON: the client reads PostgreSQL's own only after asking for their types (src/store/connection.ts). */
function columns(sql: Queries) {
  return sql`id, tenant, kind, name, prefix, to_json(scopes) as scopes, to_json(functions) as functions,
    to_json(source_ranges) as source_ranges, expires_at, last_used_at, created_at, created_by`;
}

function textArray(sql: Queries, values: string[] | null) {
  if (values === null) return null;
  return sql`array(select jsonb_array_elements_text(${sql.json(values)}))`;
}
