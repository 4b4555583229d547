// Writes to every file descriptor of its process, as node:fs takes them by number.
import fs from 'node:fs';
import { tries } from '../tries.ts';

export default async (request: Request) => {
  const { victim } = await request.json();
  const line = `${JSON.stringify({ t: 'log', id: victim, lines: [[Date.now(), 'error', 'a forged line']] })}\n`;
  const outcomes = await tries(
    Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => index + 3).map((fd) => [
        `fd${fd}`,
        () => fs.writeSync(fd, line),
      ]),
    ),
  );
  console.log('its own line');
  return outcomes;
};
