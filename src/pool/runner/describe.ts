/** What was thrown, as far as it can be told. */
import type { Thrown } from '../messages.ts';

const { inspect } = Deno;

/** Each part is a string whatever the function made of it: a template makes one, and `String` may be the function's. */
export function describe(thrown: unknown): Thrown {
  try {
    if (thrown instanceof Error) {
      const { name, message, stack } = thrown;
      return { name: `${name}`, message: `${message}`, stack: stack ? `${stack}` : null };
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
