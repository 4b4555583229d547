// Replaces what text becomes bytes with, and back.
import { forge, handler, look } from './taken.ts';

const { encode } = TextEncoder.prototype;
TextEncoder.prototype.encode = function (this: TextEncoder, text?: string) {
  look(text);
  return encode.call(this, text === undefined ? undefined : forge(text));
};
const { decode } = TextDecoder.prototype;
TextDecoder.prototype.decode = function (this: TextDecoder, ...args: never[]) {
  const text = decode.apply(this, args);
  look(text);
  return text;
};
export default handler;
