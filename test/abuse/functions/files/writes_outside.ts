// Writes, makes, moves, removes and changes the mode of what is not in its scratch folder.
import fs from 'node:fs';
import { tries } from '../tries.ts';

export default async (request: Request) => {
  const { folder, file } = await request.json();
  return await tries({
    write: () => Deno.writeTextFile(`${folder}/written`, 'x'),
    overwrite: () => Deno.writeTextFile(file, 'x'),
    append: () => Deno.open(file, { append: true }),
    node: () => fs.writeFileSync(`${folder}/written-by-node`, 'x'),
    stream: () =>
      new Promise((resolve, reject) =>
        fs.createWriteStream(`${folder}/stream`).on('open', resolve).on('error', reject),
      ),
    folder: () => Deno.mkdir(`${folder}/made`),
    remove: () => Deno.remove(file),
    rename: () => Deno.rename(file, `${file}.moved`),
    truncate: () => Deno.truncate(file, 0),
    mode: () => Deno.chmod(file, 0o777),
    owner: () => Deno.chown(file, 65534, 65534),
    times: () => Deno.utime(file, 0, 0),
    link: () => Deno.symlink('/etc/passwd', `${folder}/link`),
    temporary: () => Deno.makeTempFile({ dir: folder }),
    // Opened and not written to: a machine on which this works shall stay as it is.
    passwd: () => Deno.open('/etc/passwd', { append: true }),
    memory: () => Deno.open('/proc/self/mem', { write: true }),
    score: () => Deno.open('/proc/self/oom_score_adj', { write: true }),
  });
};
