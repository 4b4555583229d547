/**
 * What the runner uses of the language and of Deno on the path of a call, taken before any function's code runs: a
 * function may replace what it finds on prototypes and globals, and must not change what becomes of other calls by it.
 */

/** `method` as a function that takes `this` first. */
export function uncurry<This, Args extends unknown[], Result>(
  method: (this: This, ...args: Args) => Result,
): (self: This, ...args: Args) => Result {
  return Function.prototype.call.bind(method) as (self: This, ...args: Args) => Result;
}

export const OwnResponse = Response;
export const OwnHeaders = Headers;
export const OwnRequest = Request;
export const OwnAbortController = AbortController;
export const OwnUint8Array = Uint8Array;
export const OwnDataView = DataView;
export const { parse, stringify } = JSON;
export const { isInteger } = Number;
export const { isArray } = Array;
export const { keys } = Object;
export const { round } = Math;
export const schedule = queueMicrotask;

export const subarray = uncurry(Uint8Array.prototype.subarray);
export const setBytes = uncurry(Uint8Array.prototype.set);
export const sliceBytes = uncurry(Uint8Array.prototype.slice);
export const copyWithin = uncurry(Uint8Array.prototype.copyWithin);
export const getUint32 = uncurry(DataView.prototype.getUint32);
export const setUint32 = uncurry(DataView.prototype.setUint32);
export const setUint16 = uncurry(DataView.prototype.setUint16);
export const encode = uncurry(TextEncoder.prototype.encode);
export const encodeInto = uncurry(TextEncoder.prototype.encodeInto);
export const decode = uncurry(TextDecoder.prototype.decode);
export const charCodeAt = uncurry(String.prototype.charCodeAt);
export const indexOf = uncurry(String.prototype.indexOf);
export const startsWith = uncurry(String.prototype.startsWith);
export const slice = uncurry(String.prototype.slice);
export const split = uncurry(String.prototype.split as (separator: string) => string[]);
export const headersAppend = uncurry(Headers.prototype.append);
export const headersForEach = uncurry(Headers.prototype.forEach);
export const headersGet = uncurry(Headers.prototype.get);
export const headersSet = uncurry(Headers.prototype.set);
export const abortWith = uncurry(AbortController.prototype.abort);

const mapGet = uncurry(Map.prototype.get);
const mapSet = uncurry(Map.prototype.set);
const mapDelete = uncurry(Map.prototype.delete);

/** A map whose methods nobody else can replace. */
export class Table<Key, Value> {
  readonly #map = new Map<Key, Value>();
  get(key: Key): Value | undefined {
    return mapGet(this.#map, key) as Value | undefined;
  }
  set(key: Key, value: Value): void {
    mapSet(this.#map, key, value);
  }
  delete(key: Key): void {
    mapDelete(this.#map, key);
  }
}
