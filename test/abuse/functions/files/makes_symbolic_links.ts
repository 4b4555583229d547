// Makes links in its scratch folder that lead out of it, and reads through them.
import fs from 'node:fs';
import { atEachTarget } from '../tries.ts';

const scratch = Deno.env.get('TMPDIR') ?? '/tmp';
let made = 0;

export default (request: Request) =>
  atEachTarget(request, async (path) => {
    const makers = [
      (link: string) => Deno.symlinkSync(path, link),
      (link: string) => fs.symlinkSync(path, link),
      (link: string) => Deno.symlinkSync(path.slice(0, path.lastIndexOf('/')), link),
    ];
    const through = makers.map(async (make) => {
      const link = `${scratch}/link${++made}`;
      make(link);
      const inner = `${link}/${path.slice(path.lastIndexOf('/') + 1)}`;
      return await Promise.any(
        [link, inner].flatMap((at) => [
          Deno.readTextFile(at),
          import(`file://${at}`, { with: { type: 'text' } }).then((module) => module.default),
        ]),
      );
    });
    return await Promise.any(through);
  });
