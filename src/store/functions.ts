/** The functions that are stored: how they are found, listed and changed. */

import { type CodeCacheKey, dropOldCodeCaches, findCodeCache, keepCodeCache } from './code_caches.js';
import type { Sql } from './connection.js';
import { findBundle } from './function_bundles.js';
import {
  type FunctionChange,
  insertFunction,
  type NewFunction,
  removeFunction,
  updateFunction,
} from './function_changes.js';
import { metaColumns } from './function_columns.js';
import type { Actor, FunctionMeta, PreparedCode, ResolvedImport } from './types.js';

export type FunctionWithCode = FunctionMeta & Pick<PreparedCode, 'code' | 'imports'>;

export interface FunctionVersion {
  version: number;
  hash: string;
  /** What it was built from. */
  imports: ResolvedImport[];
  created_at: Date;
  created_by: string | null;
}

/** What changed after a given point. */
export interface FunctionChanges {
  /** The point to ask from next time: decimal digits of a bigint. */
  seq: string;
  changed: FunctionMeta[];
  /** Ids. Deletions are told of for a day and as long as executions are kept: whoever was away longer begins anew. */
  removed: string[];
}

export interface Functions {
  /** @throws HearthError CONFLICT when the name or a route is taken. */
  insert(added: NewFunction): Promise<FunctionMeta>;
  /** Null when there is no such function. @throws HearthError CONFLICT when a route is taken. */
  update(tenant: string, name: string, change: FunctionChange): Promise<FunctionMeta | null>;
  /** The removed function's id, or null. Its name and routes are free at once. */
  remove(tenant: string, name: string, actor: Actor): Promise<string | null>;
  find(tenant: string, name: string): Promise<FunctionWithCode | null>;
  /** By name; `after` is a name. */
  list(tenant: string, page: { limit: number; after?: string | undefined }): Promise<FunctionMeta[]>;
  byId(id: string): Promise<FunctionMeta | null>;
  /** Of a tenant's functions. */
  ids(tenant: string): Promise<string[]>;
  /** Since '0': all there are. */
  changedSince(seq: bigint | string): Promise<FunctionChanges>;
  /** The JavaScript module that a process loads. */
  bundle(hash: string): Promise<string | null>;
  /** V8's code cache of it; null if there is none. */
  codeCache(key: CodeCacheKey): Promise<Buffer | null>;
  keepCodeCache(key: CodeCacheKey, bytes: Buffer): Promise<void>;
  /** Those of engines that no node has had for long. */
  dropOldCodeCaches(): Promise<void>;
  /** Newest first. */
  versions(tenant: string, name: string): Promise<FunctionVersion[]>;
  /** Those that `reload` may change and delete. */
  fromFiles(tenant: string): Promise<FunctionWithCode[]>;
}

export function createFunctions(sql: Sql): Functions {
  return {
    insert: (added) => insertFunction(sql, added),
    update: (tenant, name, change) => updateFunction(sql, tenant, name, change),
    remove: (tenant, name, actor) => removeFunction(sql, tenant, name, actor),

    find: (tenant, name) =>
      sql.asTenant(tenant, async (sql) => {
        const [row] = await sql<FunctionWithCode[]>`
          select ${metaColumns(sql)}, v.code, v.imports
          from functions join function_versions v on v.function_id = functions.id and v.version = functions.version
          where functions.tenant = ${tenant} and functions.name = ${name} and functions.deleted_at is null`;
        return row ?? null;
      }),

    list: (tenant, { limit, after }) =>
      sql.asTenant(tenant, async (sql) => [
        ...(await sql<FunctionMeta[]>`
          select ${metaColumns(sql)} from functions
          where functions.tenant = ${tenant} and functions.deleted_at is null and functions.name > ${after ?? ''}
          order by functions.name limit ${limit}`),
      ]),

    async byId(id) {
      const [row] = await sql<FunctionMeta[]>`
        select ${metaColumns(sql)} from functions where functions.id = ${id} and functions.deleted_at is null`;
      return row ?? null;
    },

    async ids(tenant) {
      const rows = await sql<{ id: string }[]>`
        select id from functions where tenant = ${tenant} and deleted_at is null`;
      return rows.map(({ id }) => id);
    },

    async changedSince(seq) {
      const rows = await sql<(FunctionMeta & { seq: string; deleted: boolean })[]>`
        select ${metaColumns(sql)}, functions.seq, functions.deleted_at is not null as deleted
        from functions where functions.seq > ${String(seq)} order by functions.seq`;
      const changes: FunctionChanges = { seq: rows.at(-1)?.seq ?? String(seq), changed: [], removed: [] };
      for (const { seq: _, deleted, ...meta } of rows) {
        if (deleted) changes.removed.push(meta.id);
        else changes.changed.push(meta);
      }
      return changes;
    },

    bundle: (hash) => findBundle(sql, hash),
    codeCache: (key) => findCodeCache(sql, key),
    keepCodeCache: (key, bytes) => keepCodeCache(sql, key, bytes),
    dropOldCodeCaches: () => dropOldCodeCaches(sql),

    versions: (tenant, name) =>
      sql.asTenant(tenant, async (sql) => [
        ...(await sql<FunctionVersion[]>`
          select v.version, v.hash, coalesce(v.imports -> 'resolved', '[]') as imports, v.created_at, v.created_by
          from functions join function_versions v on v.function_id = functions.id
          where functions.tenant = ${tenant} and functions.name = ${name} and functions.deleted_at is null
          order by v.version desc`),
      ]),

    fromFiles: (tenant) =>
      sql.asTenant(tenant, async (sql) => [
        ...(await sql<FunctionWithCode[]>`
          select ${metaColumns(sql)}, v.code, v.imports
          from functions join function_versions v on v.function_id = functions.id and v.version = functions.version
          where functions.tenant = ${tenant} and functions.source = 'file' and functions.deleted_at is null
          order by functions.name`),
      ]),
  };
}
