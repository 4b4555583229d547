// Replaces Response, Request and Headers, and what their prototypes have.
import { handler, look } from './taken.ts';

const Original = Response;
globalThis.Response = class extends Original {
  constructor(body?: BodyInit | null, init?: ResponseInit) {
    for (const value of Object.values(init?.headers ?? {})) look(value);
    super(body, { ...init, headers: { ...init?.headers, 'x-hearth': 'forged' } });
  }
} as never;
const { get } = Object.getOwnPropertyDescriptor(Original.prototype, 'headers') ?? {};
Object.defineProperty(Original.prototype, 'headers', {
  get() {
    const headers: Headers = get?.call(this);
    for (const [name, value] of headers) {
      look(name);
      look(value);
    }
    return headers;
  },
});
Object.defineProperty(Original, Symbol.hasInstance, { value: () => false });
globalThis.Headers = class {} as never;
globalThis.Request = class {} as never;
export default handler;
