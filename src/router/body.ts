/** A request's body on its way to a process, which can be offered again as long as nothing has been read of it. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

export interface RequestBody {
  /** Whether any of it has been read. */
  readonly touched: boolean;
  /** The body to send; null when the request has none. */
  open(): Readable | null;
}

const NONE: RequestBody = { touched: false, open: () => null };

/** `tooLarge` is told, once, when there are more than `maxBytes` of it. */
export function createBody(
  incoming: IncomingMessage,
  hasBody: boolean,
  maxBytes: number,
  tooLarge: () => void,
): RequestBody {
  if (!hasBody) return NONE;
  let touched = false;
  let bytes = 0;
  return {
    get touched() {
      return touched;
    },
    open() {
      let attached = false;
      const body = new Readable({
        read() {
          touched = true;
          if (!attached) attach();
          incoming.resume();
        },
        destroy(error, done) {
          detach();
          done(error);
        },
      });
      const onData = (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > maxBytes) {
          detach();
          return tooLarge();
        }
        if (!body.push(chunk)) incoming.pause();
      };
      const onEnd = () => body.push(null);
      const onClose = () => {
        if (!incoming.complete) body.destroy(new Error('the client went away'));
      };
      const attach = () => {
        attached = true;
        incoming.on('data', onData);
        incoming.on('end', onEnd);
        incoming.on('close', onClose);
      };
      const detach = () => {
        incoming.off('data', onData);
        incoming.off('end', onEnd);
        incoming.off('close', onClose);
      };
      return body;
    },
  };
}
