/** The supervisor's end of a process's control channel: lines of JSON over a Unix socket for that process alone. */
import { createServer, type Socket } from 'node:net';
import type { FromRunner, ToRunner } from './messages.js';
import { readMessage } from './read_message.js';

export interface ControlChannel {
  send(message: ToRunner): void;
  close(): void;
}

/** Bytes that one line may have: V8's code cache of a large bundle is the longest. */
const MAX_LINE = 64 * 1024 * 1024;

/**
 * Listens on `path` for one connection, the process's own; nothing else can connect after it.
 * `onMessage` gets what the process says; a line that is none of its messages closes the channel.
 */
export async function openControlChannel(
  path: string,
  onMessage: (message: FromRunner) => void,
): Promise<ControlChannel> {
  let socket: Socket | null = null;
  const server = createServer((connection) => {
    server.close();
    socket = connection;
    let parts: string[] = [];
    let length = 0;
    connection.setEncoding('utf8');
    connection.on('data', (chunk: string) => {
      let from = 0;
      for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', from)) {
        parts.push(chunk.slice(from, end));
        const line = parts.join('');
        parts = [];
        length = 0;
        from = end + 1;
        const message = readMessage(line);
        if (message === null) return connection.destroy();
        onMessage(message);
      }
      if (from < chunk.length) {
        parts.push(chunk.slice(from));
        length += chunk.length - from;
        if (length > MAX_LINE) connection.destroy();
      }
    });
    connection.on('error', () => connection.destroy()); // the process is gone; its exit is reported elsewhere
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    send(message) {
      socket?.write(`${JSON.stringify(message)}\n`);
    },
    close() {
      server.close();
      socket?.destroy();
    },
  };
}
