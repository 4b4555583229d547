/** V8's code caches, for the nodes that have not run a function yet: one for each function and engine, of its newest bundle. */
import { promisify } from 'node:util';
import { deflate, inflate } from 'node:zlib';
import type { Sql } from './connection.js';

export interface CodeCacheKey {
  functionId: string;
  /** Of the bundle. */
  hash: string;
  /** What V8 accepts its own caches by. */
  engine: string;
}

/** Null when there is none. */
export async function findCodeCache(sql: Sql, key: CodeCacheKey): Promise<Buffer | null> {
  const [row] = await sql<{ deflated: Buffer }[]>`
    select deflated from code_caches
    where function_id = ${key.functionId} and engine = ${key.engine} and hash = ${key.hash}`;
  return row === undefined ? null : await promisify<Buffer, Buffer>(inflate)(row.deflated);
}

/**
 * In place of an older bundle's; does nothing for a bundle that the function no longer has. While the function is being changed
 * or deleted it waits for that: what went in meanwhile would outlive it.
 */
export async function keepCodeCache(sql: Sql, key: CodeCacheKey, bytes: Buffer): Promise<void> {
  const deflated = await promisify<Buffer, Buffer>(deflate)(bytes);
  await sql`
    insert into code_caches (function_id, tenant, hash, engine, deflated)
    select id, tenant, hash, ${key.engine}, ${deflated} from functions
    where id = ${key.functionId} and hash = ${key.hash} and deleted_at is null
    for share
    on conflict (function_id, engine) do update
    set hash = excluded.hash, deflated = excluded.deflated, created_at = now()`;
}

/** Those of engines that no node has had for long. */
export async function dropOldCodeCaches(sql: Sql): Promise<void> {
  await sql`
    delete from code_caches c where c.created_at < now() - interval '30 days' and exists (
      select from code_caches newer where newer.function_id = c.function_id and newer.created_at > c.created_at)`;
}
