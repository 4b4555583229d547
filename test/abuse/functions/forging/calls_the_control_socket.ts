// Speaks to the supervisor over the socket that the platform's program uses, while it loads and later.
import { tries } from '../tries.ts';
import { connectTo } from './sockets.ts';

let kept: Deno.Conn | undefined;
try {
  kept = await connectTo('c.sock');
} catch {
  // closed, then
}

export default async (request: Request) => {
  const { victim } = await request.json();
  const line = { t: 'log', id: victim, lines: [[Date.now(), 'error', 'a forged line']] };
  const say = async (connection: Deno.Conn) => {
    await connection.write(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
    return 'said';
  };
  const outcomes = await tries({
    kept_from_loading: () => (kept === undefined ? Promise.reject(new Error('none')) : say(kept)),
    later: async () => await say(await connectTo('c.sock')),
  });
  console.log('its own line');
  return outcomes;
};
