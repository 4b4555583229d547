/** What Deno and V8 have found out about the runner itself, as Deno has written it, for the processes to come. */
import type { DatabaseSync } from 'node:sqlite';
import { RUNNER_CACHE_FILES, V8_CACHE_FILE } from '../deno_dir.ts';
import { after } from './deno_core.ts';

/** ms between two looks at whether Deno writes on. */
const LOOK_MS = 150;
/** Looks in a row that have to find the same. */
const SETTLED = 3;

/** Loads what many functions use, and the runner does not, so that theirs is not the time to compile it. */
async function loadMore() {
  void setTimeout;
  await import('node:async_hooks');
}

export interface OwnCacheOptions {
  denoDir: string;
  /** The address of a module that each process is to compile anew. */
  notCompiled: string;
}

/** The databases as bytes, once Deno has written all of them. Asked of a process that never has a function. */
export async function ownCache(
  sqlite: { DatabaseSync: new (path: string) => DatabaseSync },
  { denoDir, notCompiled }: OwnCacheOptions,
): Promise<Uint8Array[]> {
  await loadMore();
  const database = new sqlite.DatabaseSync(`${denoDir}/${V8_CACHE_FILE}`);
  let same = 0;
  for (let before = -1; same < SETTLED; ) {
    await new Promise<void>((resolve) => after(LOOK_MS, resolve));
    const row = database.prepare('SELECT count(*) AS entries FROM codecache').get() as { entries: number };
    same = row.entries === before ? same + 1 : 0;
    before = row.entries;
  }
  database.prepare('DELETE FROM codecache WHERE specifier = ?').run(notCompiled);
  database.close();
  return RUNNER_CACHE_FILES.map((name) => wholeFile(sqlite, `${denoDir}/${name}`));
}

/** What Deno has put into its log yet is in the file afterwards. */
function wholeFile(sqlite: { DatabaseSync: new (path: string) => DatabaseSync }, path: string): Uint8Array {
  const database = new sqlite.DatabaseSync(path);
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
  return Deno.readFileSync(path);
}
