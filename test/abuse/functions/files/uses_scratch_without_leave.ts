// Has neither allow_read nor allow_write, and uses a scratch folder all the same.
import fs from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tries } from '../tries.ts';

export default () => {
  const scratch = Deno.env.get('TMPDIR') ?? '/tmp';
  return tries({
    write: () => Deno.writeTextFile(`${scratch}/x`, 'x'),
    node: () => fs.writeFileSync(`${scratch}/y`, 'x'),
    temporary: () => Deno.makeTempDir(),
    sqlite: () => new DatabaseSync(`${scratch}/z`).exec('create table t (x)'),
    read: () => [...Deno.readDirSync(scratch)].length,
    run: () => [...Deno.readDirSync('/fn/run')].length,
    memory: () => [...Deno.readDirSync('/dev/shm')].length,
  });
};
