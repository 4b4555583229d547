/**
 * The `Request` of a call that came in a frame. Making a real one costs more than all else on the way to a small
 * function, and most look at the method, the URL and a header or two: the real one is made when more is asked for.
 */
import {
  abortWith,
  decode,
  headersAppend,
  OwnAbortController,
  OwnHeaders,
  OwnRequest,
  parse,
  sliceBytes,
  startsWith,
  uncurry,
} from './intrinsics.ts';

const utf8 = new TextDecoder();
const textOf = uncurry(OwnRequest.prototype.text);
const jsonOf = uncurry(OwnRequest.prototype.json);
const bytesOf = uncurry(OwnRequest.prototype.bytes);
const arrayBufferOf = uncurry(OwnRequest.prototype.arrayBuffer);

/** Lines of the head before the headers: method, URL, execution id. */
const HEADERS_AT = 3;
/** How the names of headers begin that the router adds for the runner alone. */
export const INTERNAL = 'x-hearth-';

export class FramedRequest {
  readonly #lines: string[];
  #body: Uint8Array<ArrayBuffer> | null;
  #headers: Headers | null = null;
  #used = false;
  #controller: AbortController | null = null;
  #aborted = false;
  #real: Request | null = null;
  #finished: PromiseWithResolvers<void> | null = null;
  #over = false;

  /** `body`: a view of bytes that are overwritten after this turn. */
  constructor(lines: string[], body: Uint8Array<ArrayBuffer> | null) {
    this.#lines = lines;
    // Copied, as the buffer belongs to the next frames.
    this.#body = body === null ? null : (sliceBytes(body) as Uint8Array<ArrayBuffer>);
  }

  get method(): string {
    return this.#lines[0] as string;
  }
  get url(): string {
    return this.#lines[1] as string;
  }
  get headers(): Headers {
    if (this.#headers === null) this.#headers = this.#readHeaders();
    return this.#headers;
  }
  get signal(): AbortSignal {
    return this.#abortController().signal;
  }
  get bodyUsed(): boolean {
    return this.#used || (this.#real?.bodyUsed ?? false);
  }
  async text(): Promise<string> {
    return this.#readAtOnce() ? decode(utf8, this.#takeBody()) : await textOf(this.#asReal());
  }
  async json(): Promise<unknown> {
    return this.#readAtOnce() ? parse(decode(utf8, this.#takeBody())) : await jsonOf(this.#asReal());
  }
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#readAtOnce() ? this.#takeBody() : await bytesOf(this.#asReal());
  }
  async arrayBuffer(): Promise<ArrayBuffer> {
    return this.#readAtOnce() ? this.#takeBody().buffer : await arrayBufferOf(this.#asReal());
  }

  static abort(request: FramedRequest): void {
    request.#aborted = true;
    if (request.#controller !== null) abortWith(request.#controller);
  }
  static isAborted(request: FramedRequest): boolean {
    return request.#aborted;
  }
  /** For `ServeHandlerInfo.completed`. */
  static completed(request: FramedRequest): Promise<void> {
    request.#finished ??= Promise.withResolvers();
    if (request.#over) request.#finished.resolve();
    return request.#finished.promise;
  }
  static finish(request: FramedRequest): void {
    request.#over = true;
    request.#finished?.resolve();
  }
  /** Of the headers that the router adds for the runner alone. */
  static internal(request: FramedRequest, name: string): string | null {
    const lines = request.#lines;
    for (let index = HEADERS_AT; index + 1 < lines.length; index += 2)
      if (lines[index] === name) return lines[index + 1] as string;
    return null;
  }
  static real(request: FramedRequest): Request {
    return request.#asReal();
  }

  #abortController(): AbortController {
    if (this.#controller === null) {
      this.#controller = new OwnAbortController();
      if (this.#aborted) abortWith(this.#controller);
    }
    return this.#controller;
  }
  #readHeaders(): Headers {
    const headers = new OwnHeaders();
    const lines = this.#lines;
    for (let index = HEADERS_AT; index + 1 < lines.length; index += 2) {
      const name = lines[index] as string;
      if (!startsWith(name, INTERNAL)) headersAppend(headers, name, lines[index + 1] as string);
    }
    return headers;
  }
  /** The body lies there whole: a stream of it costs ten times as much as reading it. */
  #readAtOnce(): boolean {
    return this.#real === null && !this.#used && this.#body !== null;
  }
  #takeBody(): Uint8Array<ArrayBuffer> {
    this.#used = true;
    return this.#body as Uint8Array<ArrayBuffer>;
  }
  #asReal(): Request {
    if (this.#real === null) {
      const init: RequestInit = { method: this.method, headers: this.headers, signal: this.signal };
      if (this.#body !== null) init.body = this.#body;
      this.#body = null;
      this.#real = new OwnRequest(this.url, init);
      // Read already: it counts as used from now on, whatever becomes of this promise.
      if (this.#used) void textOf(this.#real);
    }
    return this.#real;
  }
}

const own = FramedRequest.prototype;
const { real } = FramedRequest;

// Everything else that a Request has, Deno's own symbols included, is that of the real one.
const sample = new OwnRequest('http://localhost/');
const inherited = Object.getOwnPropertyDescriptors(OwnRequest.prototype);
for (const key of Reflect.ownKeys(inherited)) {
  if (Object.hasOwn(own, key) && key !== 'constructor') continue;
  const { value } = inherited[key as 'url'] as PropertyDescriptor;
  if (typeof value !== 'function' || key === 'constructor') {
    if (key === 'constructor' || key === Symbol.toStringTag) {
      Object.defineProperty(own, key, inherited[key as 'url'] as PropertyDescriptor);
      continue;
    }
    forward(key);
    continue;
  }
  if (typeof key === 'symbol') continue; // inspection: it reads what is above
  Object.defineProperty(own, key, {
    value(this: FramedRequest, ...args: unknown[]) {
      return Reflect.apply(value, real(this), args);
    },
    writable: true,
    configurable: true,
    enumerable: true,
  });
}
for (const key of Object.getOwnPropertySymbols(sample)) forward(key);
Object.setPrototypeOf(own, OwnRequest.prototype);

function forward(key: PropertyKey) {
  Object.defineProperty(own, key, {
    get(this: FramedRequest) {
      return Reflect.get(real(this), key);
    },
    set(this: FramedRequest, value: unknown) {
      Reflect.set(real(this), key, value);
    },
    configurable: true,
    enumerable: true,
  });
}

/** A framed call as the function sees it. */
export function asRequest(framed: FramedRequest): Request {
  return framed as unknown as Request;
}
