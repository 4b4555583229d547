// Reads files with every kind of call that Deno has.
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(request, async (path) => {
    const ways = [
      () => Deno.readTextFile(path),
      () => Deno.readFileSync(path),
      async () => await new Response((await Deno.open(path)).readable).text(),
      () => Deno.open(path, { read: true, write: true }),
      () => Deno.copyFile(path, `${Deno.env.get('TMPDIR')}/copy`),
      () => Deno.stat(path),
      () => Deno.lstatSync(path),
      () => Deno.realPathSync(path),
      () => [...Deno.readDirSync(path.slice(0, path.lastIndexOf('/')))],
      () => Deno.watchFs(path)[Symbol.asyncIterator]().next(),
    ];
    return await Promise.any(ways.map(async (way) => await way()));
  });
