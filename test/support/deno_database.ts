/** Reads a database in a DENO_DIR, by Deno's own SQLite: Node 20 has none. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findDeno } from '../../src/pool/deno_binary.js';

const QUERY = `import { DatabaseSync } from 'node:sqlite';
const [path, sql] = Deno.args;
console.log(JSON.stringify(new DatabaseSync(path, { readOnly: true }).prepare(sql).all()));`;

/** Rows of a query whose columns are texts and small numbers. */
export async function rowsOf(path: string, sql: string): Promise<Record<string, unknown>[]> {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-test-'));
  try {
    await writeFile(join(dir, 'query.js'), QUERY);
    const run = ['run', '--no-config', '--no-lock', '-A', join(dir, 'query.js'), path, sql];
    const { stdout } = await promisify(execFile)(findDeno(), run, { env: { DENO_DIR: dir } });
    return JSON.parse(stdout) as Record<string, unknown>[];
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
