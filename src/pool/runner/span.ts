/** A span of the function, with the methods that OpenTelemetry's API gives one. Bounded as it is made. */
import { type FunctionSpan, SPAN_LIMITS, type SpanPairs, type SpanValue } from '../messages.ts';
import { isArray, slice } from './intrinsics.ts';

export interface SpanContext {
  traceId: string;
  spanId: string;
  traceFlags: number;
  isRemote?: boolean;
}

/** What spans of one execution share. */
export interface SpanHome {
  readonly traceId: string;
  /** Unix ms, with fractions. */
  now(): number;
  /** Of what the API takes for a time; undefined: now. */
  timeOf(input: unknown): number;
  /** It has ended. */
  send(span: FunctionSpan): void;
}

export type SpanAttributes = Record<string, unknown>;

export class Span {
  readonly #home: SpanHome;
  readonly #span: FunctionSpan;
  #ended = false;

  constructor(home: SpanHome, span: FunctionSpan) {
    this.#home = home;
    this.#span = span;
  }
  spanContext(): SpanContext {
    return { traceId: this.#home.traceId, spanId: this.#span.id, traceFlags: 1 };
  }
  isRecording(): boolean {
    return !this.#ended;
  }
  setAttribute(name: unknown, value: unknown): this {
    if (!this.#ended) put(this.#span.attributes, name, value);
    return this;
  }
  setAttributes(attributes: SpanAttributes): this {
    if (!this.#ended) putAll(this.#span.attributes, attributes);
    return this;
  }
  addEvent(name: unknown, attributesOrTime?: unknown, time?: unknown): this {
    const { events } = this.#span;
    if (this.#ended || events.length >= SPAN_LIMITS.events) return this;
    const isTime = isTimeInput(attributesOrTime);
    const pairs: SpanPairs = [];
    if (!isTime) putAll(pairs, attributesOrTime);
    events[events.length] = [nameOf(name), this.#home.timeOf(isTime ? attributesOrTime : time), pairs];
    return this;
  }
  addLink(): this {
    return this; // kept by nobody: a function's trace is the one that it was called in
  }
  addLinks(): this {
    return this;
  }
  setStatus(status: { code?: unknown; message?: unknown }): this {
    const code = status?.code;
    if (this.#ended || (code !== 0 && code !== 1 && code !== 2)) return this;
    const { message } = status;
    this.#span.status = [code, code === 2 && message !== undefined ? textOf(message) : ''];
    return this;
  }
  updateName(name: unknown): this {
    if (!this.#ended) this.#span.name = nameOf(name);
    return this;
  }
  recordException(thrown: unknown, time?: unknown): this {
    const { name, message, stack } =
      typeof thrown === 'object' && thrown !== null ? (thrown as Error) : new Error(`${thrown}`);
    return this.addEvent(
      'exception',
      { 'exception.type': name, 'exception.message': message, 'exception.stacktrace': stack },
      time,
    );
  }
  end(time?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    const end = this.#home.timeOf(time);
    this.#span.end = max(end, this.#span.start);
    this.#home.send(this.#span);
  }
}

/** One that is not recorded, or that is elsewhere: its context alone is passed on. */
export class SilentSpan {
  readonly #context: SpanContext;

  constructor(context: SpanContext) {
    this.#context = context;
  }
  spanContext(): SpanContext {
    return this.#context;
  }
  isRecording(): boolean {
    return false;
  }
  end(): void {}
}
for (const name of [
  'setAttribute',
  'setAttributes',
  'addEvent',
  'addLink',
  'addLinks',
  'setStatus',
  'updateName',
  'recordException',
]) {
  Object.defineProperty(SilentSpan.prototype, name, {
    value(this: SilentSpan) {
      return this;
    },
    writable: true,
    configurable: true,
  });
}

const { entries } = Object;
const { isFinite: isFiniteNumber } = Number;
const { max } = Math;

export function putAll(pairs: SpanPairs, attributes: unknown): void {
  if (typeof attributes !== 'object' || attributes === null) return;
  const all = entries(attributes);
  for (let index = 0; index < all.length; index++) put(pairs, all[index]?.[0], all[index]?.[1]);
}

/** The last value of a name counts. */
function put(pairs: SpanPairs, name: unknown, value: unknown): void {
  if (typeof name !== 'string' || name === '') return;
  const kept = keptOf(value);
  if (kept === undefined) return;
  const key = nameOf(name);
  for (let index = 0; index < pairs.length; index++) {
    const pair = pairs[index];
    if (pair?.[0] !== key) continue;
    pair[1] = kept;
    return;
  }
  if (pairs.length < SPAN_LIMITS.attributes) pairs[pairs.length] = [key, kept];
}

function keptOf(value: unknown): SpanValue | undefined {
  if (!isArray(value)) return scalarOf(value);
  const items: (string | number | boolean)[] = [];
  for (let index = 0; index < value.length && items.length < SPAN_LIMITS.items; index++) {
    const item = scalarOf(value[index]);
    if (item !== undefined) items[items.length] = item;
  }
  return items;
}

function scalarOf(value: unknown): string | number | boolean | undefined {
  if (typeof value === 'string') return textOf(value);
  if (typeof value === 'boolean' || isFiniteNumber(value)) return value as number;
  return undefined;
}

export function nameOf(name: unknown): string {
  return slice(`${name}`, 0, SPAN_LIMITS.name);
}

function textOf(text: unknown): string {
  return slice(`${text}`, 0, SPAN_LIMITS.text);
}

export function isTimeInput(value: unknown): boolean {
  return typeof value === 'number' || value instanceof Date || isArray(value);
}
