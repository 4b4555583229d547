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

const EMPTY_MODULE = 'export default 0;';

/** Imports a module from a file, and answers calls that nobody made. Leaves nothing behind. */
export async function rehearse({ calls, scratch }: RehearsalOptions): Promise<void> {
  const file = `${scratch}/rehearsal.js`;
  Deno.writeTextFileSync(file, EMPTY_MODULE);
  await import(`file://${file}`);
  Deno.removeSync(file);
  await calls.rehearse(CHANNEL, [
    () => new Response('text'),
    (request) => Response.json({ url: request.url }),
    async (request) => new Response(request.headers.get('host'), { status: 201, headers: { a: 'b' } }),
  ]);
}

const CHANNEL: Channel = { answer() {} };
