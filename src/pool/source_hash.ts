/** What Deno 2.9 recognises a module's text by in its caches. */
import xxhash from 'xxhash-wasm';
import { denoVersion } from './deno_binary.js';

const { create64 } = await xxhash();
const version = Buffer.from(denoVersion());
/** Rust ends a text that it hashes with a byte that no UTF-8 has. */
const END = Buffer.of(0xff);

/**
 * XXH64 of Deno's version, the text and a byte at its end, as the signed 64-bit number, in decimal, that SQLite keeps.
 *
 * @param text the parts of the file in turn, UTF-8.
 */
export function sourceHash(text: readonly Uint8Array[]): string {
  const hash = create64();
  for (const part of [version, ...text, END]) hash.update(part);
  return `${BigInt.asIntN(64, hash.digest())}`;
}
