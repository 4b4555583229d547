// Makes hard links to files outside its scratch folder, and reads them there.
import fs from 'node:fs';
import { atEachTarget } from '../tries.ts';

const scratch = Deno.env.get('TMPDIR') ?? '/tmp';

export default (request: Request) =>
  atEachTarget(request, async (path) => {
    const link = `${scratch}/hard${path.length}`;
    const ways = [() => Deno.linkSync(path, link), () => fs.linkSync(path, `${link}n`)];
    return await Promise.any(
      ways.map(async (way) => {
        way();
        return await Deno.readTextFile(link);
      }),
    );
  });
