/**
 * What `@opentelemetry/api` finds in the process: the registry under its global symbol, with a tracer provider, a context
 * manager and a propagator. The package in a function's bundle, of any version 1, then needs no set-up.
 */
import type { SilentSpan, Span } from './span.ts';
import type { SpanOptions, Tracer } from './tracing.ts';

/** The API's names: `createContextKey` makes keys by `Symbol.for`. */
const REGISTRY = Symbol.for('opentelemetry.js.api.1');
export const SPAN_KEY = Symbol.for('OpenTelemetry Context Key SPAN');
/** Above every version 1 that a function may bring: the API takes a registry that is newer than itself. */
const VERSION = '1.999.999';

/** Values by keys; a change makes a new one. */
export class Context {
  static readonly root = new Context(null, undefined, undefined);
  readonly #before: Context | null;
  readonly #key: symbol | undefined;
  readonly #value: unknown;

  constructor(before: Context | null, key: symbol | undefined, value: unknown) {
    this.#before = before;
    this.#key = key;
    this.#value = value;
  }
  getValue(key: symbol): unknown {
    for (let at: Context | null = this; at !== null; at = at.#before) if (at.#key === key) return at.#value;
    return undefined;
  }
  setValue(key: symbol, value: unknown): Context {
    return new Context(this, key, value);
  }
  deleteValue(key: symbol): Context {
    return new Context(this, key, undefined);
  }
}

type AnySpan = Span | SilentSpan;
type Callback = (span: AnySpan) => unknown;

export function offerApi(tracer: Tracer): void {
  const registry = {
    version: VERSION,
    trace: { getTracer: (name?: unknown, version?: unknown) => tracerOf(tracer, name, version) },
    context: contextManager(tracer),
    propagation: propagator(tracer),
  };
  Object.defineProperty(globalThis, REGISTRY, { value: registry, writable: true, configurable: true });
}

function tracerOf(tracer: Tracer, name: unknown, version: unknown) {
  const scope: [string, string] = [textOf(name), textOf(version)];
  const startSpan = (
    called: unknown,
    options: SpanOptions = {},
    context: Context = tracer.active(),
  ): AnySpan => tracer.start(called, options, context, scope);
  return {
    startSpan,
    /** `(name, fn)`, `(name, options, fn)` or `(name, options, context, fn)`. */
    startActiveSpan(called: unknown, ...rest: unknown[]): unknown {
      const task = rest.pop() as Callback;
      const [options = {}, context = tracer.active()] = rest as [SpanOptions?, Context?];
      const span = startSpan(called, options, context);
      return tracer.run(context.setValue(SPAN_KEY, span), task, span);
    },
  };
}

function contextManager(tracer: Tracer) {
  const within = (
    context: Context,
    task: (...args: unknown[]) => unknown,
    self?: unknown,
    ...args: unknown[]
  ) => tracer.run(context, () => Reflect.apply(task, self, args));
  return {
    active: tracer.active,
    with: within,
    bind(context: Context, target: unknown): unknown {
      if (typeof target !== 'function') return target;
      return function bound(this: unknown, ...args: unknown[]) {
        return within(context, target as () => unknown, this, ...args);
      };
    },
    enable() {
      return this;
    },
    disable() {
      return this;
    },
  };
}

function propagator(tracer: Tracer) {
  return {
    inject(
      context: Context,
      carrier: unknown,
      setter: { set(c: unknown, name: string, value: string): void },
    ) {
      for (const [name, value] of tracer.headers(context) ?? []) setter.set(carrier, name, value);
    },
    /** A function's spans stay in the trace that it was called in, so there is none to take up. */
    extract: (context: Context) => context,
    fields: () => ['traceparent', 'tracestate', 'baggage'],
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 128) : '';
}
