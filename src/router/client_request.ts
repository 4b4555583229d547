/**
 * A request as Node reads it, without what Node does for each request in vain: it makes an object of all headers to look for
 * `Expect`, and reads an empty body to its end in four turns of its queue. Both wait until somebody asks.
 */
import { IncomingMessage } from 'node:http';

export class ClientRequest extends IncomingMessage {
  /** Whether it has been given to the gateway: until then only Node looks at it. */
  handedOver = false;
  private started = false;
  private wanted = false;
  /** It has no body, and nobody has asked for one so far. */
  private empty = false;

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    // Others are read by those who clean up after them (@hono/node-server) if it has not been done before.
    if (chunk === null && !this.started && !this.wanted && this.method === 'GET') {
      this.empty = true;
      return false;
    }
    this.started = true;
    return super.push(chunk, encoding);
  }

  override _read(size: number): void {
    this.wanted = true;
    if (!this.empty) return super._read(size);
    this.empty = false;
    super.push(null);
  }

  /** Node's: takes from the connection what nobody has read. */
  _dump(): void {
    if (!this.empty) dump.call(this);
  }
}

/** From here on a request's headers may be asked for. */
export function handOver(incoming: IncomingMessage): void {
  if (incoming instanceof ClientRequest) incoming.handedOver = true;
}

const { prototype } = IncomingMessage;
const dump = Reflect.get(prototype, '_dump') as (this: IncomingMessage) => void;
const all = Object.getOwnPropertyDescriptor(prototype, 'headers');

/** What Node finds that looks for `Expect` in a request that has none. */
const NONE: NodeJS.Dict<string | string[]> = Object.freeze({});

// TypeScript takes it for a field; in Node it is an accessor, which makes the object when it is first asked for it.
if (all?.get !== undefined)
  Object.defineProperty(ClientRequest.prototype, 'headers', {
    ...all,
    get(this: ClientRequest) {
      return this.handedOver || mayExpect(this.rawHeaders) ? all.get?.call(this) : NONE;
    },
  });

function mayExpect(rawHeaders: readonly string[]): boolean {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 6 && name.toLowerCase() === 'expect') return true;
  }
  return false;
}
