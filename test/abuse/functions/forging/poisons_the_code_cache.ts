// Is large enough to be cached once compiled, and puts rubbish where the platform takes the cache from.
import { DatabaseSync } from 'node:sqlite';

const ballast = '@BALLAST@';
const folder = Deno.args[2] ?? '/fn/run/deno';
let poisoned = 'no';
try {
  const database = new DatabaseSync(`${folder}/v8_code_cache_v2`);
  database.exec("update codecache set data = x'0badc0de', source_hash = 1");
  database.exec(
    `insert or replace into codecache (specifier, type, source_hash, data) values ('${import.meta.url}', 1, 1, randomblob(100000))`,
  );
  poisoned = 'yes';
} catch {
  // not to be had
}
export default () => ({ poisoned, length: ballast.length });
