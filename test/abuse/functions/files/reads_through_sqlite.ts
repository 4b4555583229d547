// Opens files as databases, attaches them, and reads with SQLite's own functions.
import { DatabaseSync } from 'node:sqlite';
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(request, async (path) => {
    const ways = [
      () => new DatabaseSync(path, { readOnly: true }).prepare('select * from sqlite_master').all(),
      () => new DatabaseSync(':memory:').exec(`attach '${path}' as other; select * from other.sqlite_master`),
      () => new DatabaseSync(':memory:').prepare(`select readfile('${path}') as text`).get(),
      () => new DatabaseSync(':memory:', { allowExtension: true }).loadExtension(path),
    ];
    return await Promise.any(ways.map(async (way) => await way()));
  });
