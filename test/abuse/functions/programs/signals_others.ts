// Signals its parent, its group and everything it can, with a signal that does nothing to who gets it.
import process from 'node:process';
import { tries } from '../tries.ts';

export default async (request: Request) => {
  const { supervisor } = await request.json();
  return await tries({
    parent: () => Deno.kill(Deno.ppid, 'SIGURG'),
    parent_by_node: () => process.kill(process.ppid, 'SIGURG'),
    supervisor: () => Deno.kill(Number(supervisor), 'SIGURG'),
    supervisor_by_node: () => process.kill(Number(supervisor), 'SIGURG'),
    supervisor_is_there: () => process.kill(Number(supervisor), 0),
    everyone: () => Deno.kill(-1, 'SIGURG'),
    everyone_by_node: () => process.kill(-1, 'SIGURG'),
    init: () => {
      if (Deno.pid === 1) throw new Error('it is the first process itself');
      process.kill(1, 'SIGURG');
    },
  });
};
