// Reads traces in the layout of the Azure Functions trace of 2019: a file for each day with a line for each function,
// HashOwner,HashApp,HashFunction,Trigger and the number of calls in each of 1440 minutes.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

const DAY = 1440;
/** MiB of an application that the memory file does not have: the paper's median (section 3.5). */
const USUAL_MEMORY = 170;

/**
 * @param files one a day, in order
 * @param by `app` adds up the functions of an application, as the paper does; `function` takes each by itself
 * @param memory a file of average memory (HashOwner,HashApp,SampleCount,AverageAllocatedMb,…), or undefined
 * @returns functions as `generate` makes them, and the number of days
 */
export async function readTrace({ files, by, memory }) {
  const memories = memory === undefined ? new Map() : await readMemory(memory);
  const found = new Map();
  for (const [day, file] of files.entries()) {
    for await (const [owner, app, name, trigger, ...counts] of rows(file, [
      'HashOwner',
      'HashApp',
      'HashFunction',
      'Trigger',
    ])) {
      if (counts.length !== DAY)
        throw new Error(`${file} has a line with ${counts.length} minutes, not ${DAY}`);
      const key = by === 'app' ? `${owner}/${app}` : `${owner}/${app}/${name}`;
      let one = found.get(key);
      if (one === undefined) {
        one = {
          name: key,
          trigger,
          memoryMib: memories.get(`${owner}/${app}`) ?? USUAL_MEMORY,
          counts: new Map(),
        };
        found.set(key, one);
      }
      for (const [minute, count] of counts.entries()) {
        if (count === '0' || count === '') continue;
        const at = day * DAY + minute;
        one.counts.set(at, (one.counts.get(at) ?? 0) + Number(count));
      }
    }
  }
  const functions = [...found.values()]
    .filter(({ counts }) => counts.size > 0)
    .map(({ counts, ...one }) => ({
      ...one,
      minutes: Int32Array.from(counts.keys()).sort(),
      calls: [...counts.values()].reduce((sum, count) => sum + count, 0),
    }));
  return { functions, days: files.length };
}

async function readMemory(file) {
  const memories = new Map();
  for await (const [owner, app, , average] of rows(file, ['HashOwner', 'HashApp', 'SampleCount']))
    memories.set(`${owner}/${app}`, Number(average));
  return memories;
}

async function* rows(file, header) {
  let first = true;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    const fields = line.split(',');
    if (!first) {
      if (line !== '') yield fields;
      continue;
    }
    first = false;
    if (!header.every((name, at) => fields[at] === name))
      throw new Error(`${file} does not begin with ${header.join()}`);
  }
}
