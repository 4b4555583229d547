/** Reads what a process writes to its standard output or error, no faster than a bound. */
import type { Readable } from 'node:stream';

/** Bytes per second that are read; a process that writes more waits for its pipe. */
const BYTES_PER_SECOND = 256 * 1024;
const WINDOW_MS = 250;

/** `onText` gets each piece as it comes, cut at `pieceBytes`. */
export function readOutput(
  stream: Readable | null,
  pieceBytes: number,
  onText: (text: string) => void,
): void {
  if (stream === null) return;
  let left = (BYTES_PER_SECOND * WINDOW_MS) / 1000;
  let window: NodeJS.Timeout | null = null;
  stream.on('data', (chunk: Buffer) => {
    onText(chunk.toString('utf8', 0, pieceBytes));
    left -= chunk.length;
    if (left <= 0) stream.pause();
    window ??= setTimeout(() => {
      window = null;
      left = (BYTES_PER_SECOND * WINDOW_MS) / 1000;
      stream.resume();
    }, WINDOW_MS);
  });
  stream.once('close', () => {
    if (window !== null) clearTimeout(window);
  });
}
