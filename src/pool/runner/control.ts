/** The control channel: lines of JSON over a Unix socket that the supervisor opened for this process alone. */
import type { FromRunner, Thrown, ToRunner } from '../messages.ts';
import { decode, encode, indexOf, parse, slice, stringify, subarray } from './intrinsics.ts';
import { originToJson, spanToJson } from './span_json.ts';

export interface Control {
  send(message: FromRunner): void;
  /** Calls back for each message, in order; resolves when the supervisor has closed the channel. */
  listen(onMessage: (message: ToRunner) => void): Promise<void>;
}

/** Characters that may wait for the supervisor to read before lines of logs are dropped. */
const MAX_BACKLOG = 8 * 1024 * 1024;

export async function openControl(path: string): Promise<Control> {
  const connection = await Deno.connect({ transport: 'unix', path });
  const read = connection.read.bind(connection);
  const write = connection.write.bind(connection);
  const exit = Deno.exit;
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  /** Text, and not a list of lines: a function may watch what is added to lists. */
  let backlog = '';
  let writing = false;

  async function drain() {
    writing = true;
    try {
      while (backlog !== '') {
        const bytes = encode(encoder, backlog);
        backlog = '';
        for (let at = 0; at < bytes.length; ) at += await write(subarray(bytes, at));
      }
    } catch {
      exit(0); // the supervisor is gone: so is the reason to live
    }
    writing = false;
  }

  return {
    send(message) {
      if (backlog.length > MAX_BACKLOG && (message.t === 'log' || message.t === 'span')) return;
      backlog += `${toJson(message)}\n`;
      // The first write happens at once, so that a line reaches the supervisor even if the function never yields.
      if (!writing) void drain();
    },
    async listen(onMessage) {
      const chunk = new Uint8Array(64 * 1024);
      let rest = '';
      for (;;) {
        let length: number | null;
        try {
          length = await read(chunk);
        } catch {
          length = null;
        }
        if (length === null) return;
        const text = decode(decoder, subarray(chunk, 0, length), { stream: true });
        let from = 0;
        for (let end = indexOf(text, '\n'); end >= 0; end = indexOf(text, '\n', from)) {
          const line = rest + slice(text, from, end);
          rest = '';
          from = end + 1;
          onMessage(parse(line) as ToRunner);
        }
        rest += slice(text, from);
      }
    },
  };
}

/** Put together by hand: `JSON.stringify` asks objects for a `toJSON`, which a function may give to all of them. */
function toJson(message: FromRunner): string {
  switch (message.t) {
    case 'ready':
      return '{"t":"ready"}';
    case 'claimed':
      return `{"t":"claimed","envMs":${+message.envMs},"importMs":${+message.importMs}}`;
    case 'failed':
      return `{"t":"failed","error":${thrownToJson(message.error)}}`;
    case 'pong':
      return `{"t":"pong","n":${message.n}}`;
    case 'log': {
      const { id, line } = message;
      const origin = message.in;
      const where =
        origin === undefined ? '' : `,"in":{"of":${originToJson(origin.of)},"span":"${origin.span}"}`;
      return `{"t":"log","id":${stringify(id)},"line":[${line[0]},"${line[1]}",${stringify(line[2])}]${where}}`;
    }
    case 'span':
      return `{"t":"span","id":${stringify(message.id)},"of":${originToJson(message.of)},"span":${spanToJson(message.span)}}`;
    case 'end':
      return `{"t":"end","id":${stringify(message.id)},"cpuUs":${message.cpuUs}}`;
    case 'hold':
      return `{"t":"hold","on":${message.on}}`;
    case 'v8':
    case 'own-cache':
      return `{"t":"${message.t}","data":${stringify(message.data)}}`;
  }
}

export function thrownToJson(thrown: Thrown): string {
  const { name, message, stack } = thrown;
  return `{"name":${stringify(name)},"message":${stringify(message)},"stack":${stringify(stack)}}`;
}
