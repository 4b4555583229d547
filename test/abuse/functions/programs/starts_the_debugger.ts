// Opens the inspector's port on its own process, by signal and by call.
import inspector from 'node:inspector';
import { tries } from '../tries.ts';

export default () =>
  tries({
    call: () => {
      inspector.open(19229, '127.0.0.1');
      const url = inspector.url();
      if (url === undefined) throw new Error('not open');
      return url;
    },
    signal: async () => {
      Deno.kill(Deno.pid, 'SIGUSR1');
      return (await Deno.connect({ hostname: '127.0.0.1', port: 9229 })).remoteAddr;
    },
  });
