/** The control channel: lines of JSON over a Unix socket that the supervisor opened for this process alone. */
import type { FromRunner, ToRunner } from '../messages.ts';

export interface Control {
  send(message: FromRunner): void;
  /** Calls back for each message, in order; resolves when the supervisor has closed the channel. */
  listen(onMessage: (message: ToRunner) => void): Promise<void>;
}

/** Bytes that may wait for the supervisor to read before lines of logs are dropped. */
const MAX_BACKLOG = 8 * 1024 * 1024;

export async function openControl(path: string): Promise<Control> {
  const connection = await Deno.connect({ transport: 'unix', path });
  const encoder = new TextEncoder();
  const stringify = JSON.stringify;
  let backlog: string[] = [];
  let backlogBytes = 0;
  let writing = false;

  async function drain() {
    writing = true;
    try {
      while (backlog.length > 0) {
        const bytes = encoder.encode(backlog.join(''));
        backlog = [];
        backlogBytes = 0;
        for (let at = 0; at < bytes.length; ) at += await connection.write(bytes.subarray(at));
      }
    } catch {
      Deno.exit(0); // the supervisor is gone: so is the reason to live
    }
    writing = false;
  }

  return {
    send(message) {
      if (backlogBytes > MAX_BACKLOG && message.t === 'log') return;
      const line = `${stringify(message)}\n`;
      backlog.push(line);
      backlogBytes += line.length;
      // The first write happens at once, so that a line reaches the supervisor even if the function never yields.
      if (!writing) void drain();
    },
    async listen(onMessage) {
      const decoder = new TextDecoder();
      const parse = JSON.parse;
      const chunk = new Uint8Array(64 * 1024);
      let rest = '';
      for (;;) {
        const read = await connection.read(chunk).catch(() => null);
        if (read === null) return;
        rest += decoder.decode(chunk.subarray(0, read), { stream: true });
        for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
          const line = rest.slice(0, end);
          rest = rest.slice(end + 1);
          onMessage(parse(line) as ToRunner);
        }
      }
    },
  };
}
