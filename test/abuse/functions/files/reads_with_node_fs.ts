// Reads files with every kind of call that node:fs has.
import fs from 'node:fs';
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(request, async (path) => {
    const ways = [
      () => fs.readFileSync(path, 'utf8'),
      () => fs.promises.readFile(path, 'utf8'),
      () => fs.readSync(fs.openSync(path, 'r'), new Uint8Array(10)),
      () => fs.copyFileSync(path, `${Deno.env.get('TMPDIR')}/copy`),
      () => fs.statSync(path).size,
      () => fs.existsSync(path) || Promise.reject(new Error('not there')),
      () => fs.readdirSync(path.slice(0, path.lastIndexOf('/'))),
      () =>
        new Promise((resolve, reject) => fs.createReadStream(path).on('data', resolve).on('error', reject)),
    ];
    return await Promise.any(ways.map(async (way) => await way()));
  });
