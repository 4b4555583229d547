/** The three styles of a function, as one: a web `Request` in, whatever the function returns out. */
import type { Execution } from './execution.ts';

/** The context of a call, read from the router's own headers when it is asked for. */
export class CallContext {
  readonly #internal: (name: string) => string | null;
  readonly execution_id: string;
  readonly tenant: string;
  readonly function: string;
  readonly waitUntil: (promise: unknown) => void;

  constructor(
    execution: Execution,
    claim: { tenant: string; function: string } | undefined,
    waitUntil: (promise: unknown) => void,
  ) {
    this.#internal = execution.internal;
    this.execution_id = execution.id;
    this.tenant = claim?.tenant ?? '';
    this.function = claim?.function ?? '';
    this.waitUntil = waitUntil;
  }
  get params(): Record<string, string> {
    const params = this.#internal('x-hearth-params');
    return params === null ? {} : JSON.parse(decodeURIComponent(params));
  }
  get user_id() {
    return this.#read('x-hearth-user-id');
  }
  get user_email() {
    return this.#read('x-hearth-user-email');
  }
  /** The router says nothing for the usual role, and `none` for a caller without a credential. */
  get user_role(): string | undefined {
    const role = this.#read('x-hearth-user-role') ?? 'anon';
    return role === 'none' ? undefined : role;
  }
  #read(name: string): string | undefined {
    const value = this.#internal(name);
    return value === null ? undefined : decodeURIComponent(value);
  }
}

/** When the answer has gone. */
export type Completion = Pick<Deno.ServeHandlerInfo, 'completed'>;

export type Handler = (request: Request, call: CallContext, info: Completion) => unknown;

type Callable = (...args: unknown[]) => unknown;

/** What the module offers: `export default`, else `Deno.serve`, else a `handler`, exported or not. */
export function findHandler(
  module: Record<string, unknown>,
  served: Callable | undefined,
): Handler | undefined {
  const exported = module.default;
  if (typeof exported === 'function') return (request, call) => (exported as Callable)(request, call);
  if (typeof exported === 'object' && exported !== null) {
    const { fetch } = exported as { fetch?: unknown };
    if (typeof fetch === 'function')
      return (request, call) => (fetch as Callable).call(exported, request, call);
  }
  if (served !== undefined) return (request, _call, info) => served(request, new RemoteInfo(request, info));
  const handler = module.__hearth_handler ?? module.handler;
  if (typeof handler === 'function') {
    return async (request, call) => (handler as Callable)(await toPlainRequest(request, call));
  }
  return undefined;
}

/**
 * `Deno.serve`'s info: it shows the caller's address as the router saw it, not the Unix socket. A class, because V8 makes a
 * shape of its own for each literal with a getter and what it closes over, and lets go of it late.
 */
class RemoteInfo {
  readonly #request: Request;
  readonly #info: Completion;
  constructor(request: Request, info: Completion) {
    this.#request = request;
    this.#info = info;
  }
  get remoteAddr(): Deno.NetAddr {
    const hostname = this.#request.headers.get('x-forwarded-for')?.split(',')[0]?.trim() ?? '';
    return { transport: 'tcp', hostname, port: 0 };
  }
  get completed(): Promise<void> {
    return this.#info.completed;
  }
}

/** The request object of the Fluxbase style; its body is a string, as the contract says. */
async function toPlainRequest(request: Request, call: CallContext): Promise<Record<string, unknown>> {
  const plain: Record<string, unknown> = {
    method: request.method,
    url: request.url,
    headers: Object.fromEntries(request.headers),
    body: await request.text(),
    params: call.params,
    tenant: call.tenant,
    execution_id: call.execution_id,
  };
  if (call.user_id !== undefined) plain.user_id = call.user_id;
  if (call.user_email !== undefined) plain.user_email = call.user_email;
  if (call.user_role !== undefined) plain.user_role = call.user_role;
  return plain;
}

/** Replaces `Deno.serve` by one that only remembers the handler it is given. */
export function captureServe(): () => Callable | undefined {
  let served: Callable | undefined;
  const server = {
    finished: new Promise<void>(() => {}),
    addr: { transport: 'tcp', hostname: '0.0.0.0', port: 8000 },
    ref() {},
    unref() {},
    shutdown: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  const serve = (first: unknown, second?: unknown) => {
    const handler =
      typeof first === 'function' ? first : (second ?? (first as { handler?: unknown } | undefined)?.handler);
    if (typeof handler !== 'function') throw new TypeError('Deno.serve: no handler was given');
    served = handler as Callable;
    const options = (typeof first === 'object' ? first : second) as { onListen?: Callable } | undefined;
    options?.onListen?.(server.addr);
    return server;
  };
  Object.defineProperty(Deno, 'serve', { value: serve, writable: true, configurable: true });
  return () => served;
}
