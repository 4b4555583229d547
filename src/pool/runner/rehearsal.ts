/**
 * What a first call would be the first to do is done while the process waits: V8 compiles a function when it is first
 * called, and Deno loads parts of itself when they are first used.
 */
import type { Calls } from './calls.ts';
import type { Channel } from './frames.ts';

export interface RehearsalOptions {
  calls: Calls;
  /** A folder that may be written to, and nobody has seen yet. */
  scratch: string;
}

const FILE = 'rehearsal.js';
/** Something of all that modules are made of, for the compiler: it is loaded, and nothing of it is called. */
const MODULE = `
const names = ['a', "b"], { length } = names;
class Known extends Error {
  #n = 1;
  static of = (n) => new Known(\`\${n}\`);
  get n() { return this.#n; }
}
async function* each(list) { for await (const one of list) yield one; }
function check(value, { least = 0, ...rest } = {}) {
  if (value === null || typeof value !== 'object' || !/^[a-z]+$/i.test(value?.name ?? '')) return false;
  switch (rest.kind) {
    case 'x': return least < 1 ? true : [...names, length].some((n) => n !== 2);
    default: return !rest;
  }
}
const handler = async (request) => {
  const url = new URL(request.url);
  try {
    const body = request.method === 'POST' ? await request.json() : { n: 1, [url.pathname]: url.search };
    for (let n = 0; n < names.length; n++) if (check(body)) break;
    return Response.json({ ...body, url: request.url }, { status: 200, headers: { 'x-a': \`\${length}\` } });
  } catch (error) {
    throw error instanceof Known ? error : new Known('no', { cause: error });
  } finally {
    void each;
  }
};
export { handler as default };
`;

/** The address of the module that is loaded. */
export function rehearsalIn(scratch: string): string {
  return `file://${scratch}/${FILE}`;
}

/** Imports a module from a file, and answers calls that nobody made. Leaves nothing behind. */
export async function rehearse({ calls, scratch }: RehearsalOptions): Promise<void> {
  const file = `${scratch}/${FILE}`;
  Deno.writeTextFileSync(file, MODULE);
  await import(rehearsalIn(scratch));
  Deno.removeSync(file);
  await calls.rehearse(CHANNEL, [
    () => new Response('text'),
    (request) => Response.json({ url: request.url }),
    async (request) => new Response(request.headers.get('host'), { status: 201, headers: { a: 'b' } }),
  ]);
}

const CHANNEL: Channel = { answer() {} };
