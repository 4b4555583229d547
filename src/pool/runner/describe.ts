/** What was thrown, as far as it can be told. */
import type { Thrown } from '../messages.ts';
import { slice } from './intrinsics.ts';

const { inspect } = Deno;
/** Characters of each part that are kept: the platform keeps no more of them (64 KiB). */
const MAX_CHARACTERS = 64 * 1024;
const MAX_NAME = 256;

/** Each part is a string whatever the function made of it: a template makes one, and `String` may be the function's. */
export function describe(thrown: unknown): Thrown {
  try {
    if (thrown instanceof Error) {
      const { name, message, stack } = thrown;
      return {
        name: slice(`${name}`, 0, MAX_NAME),
        message: slice(`${message}`, 0, MAX_CHARACTERS),
        stack: stack ? slice(`${stack}`, 0, MAX_CHARACTERS) : null,
      };
    }
    return {
      name: 'thrown',
      message: typeof thrown === 'string' ? thrown : `${inspect(thrown)}`,
      stack: null,
    };
  } catch {
    return { name: 'thrown', message: 'a value that cannot be shown', stack: null };
  }
}
