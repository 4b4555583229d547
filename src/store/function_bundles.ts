/** What processes load, by content hash: kept compressed, and byte for byte, since the hash is of the bytes. */
import { promisify } from 'node:util';
import { deflate, inflate } from 'node:zlib';
import type { Queries, Sql } from './connection.js';
import type { PreparedCode } from './types.js';

/** Compresses a bundle, off the main thread: before a transaction, not in it. */
export function deflateBundle(prepared: PreparedCode): Promise<Buffer> {
  return promisify<string, Buffer>(deflate)(prepared.bundle);
}

/** Touching the one that is there keeps the purge of unused bundles from taking it away meanwhile. */
export async function insertBundle(sql: Queries, hash: string, deflated: Buffer): Promise<void> {
  await sql`
    insert into bundles (hash, deflated) values (${hash}, ${deflated})
    on conflict (hash) do update set created_at = now()`;
}

/** Null when there is none of that hash. */
export async function findBundle(sql: Sql, hash: string): Promise<string | null> {
  const [row] = await sql<{ deflated: Buffer }[]>`select deflated from bundles where hash = ${hash}`;
  if (row === undefined) return null;
  return (await promisify<Buffer, Buffer>(inflate)(row.deflated)).toString('utf8');
}
