/** What was thrown, as far as it can be told. */
import type { Thrown } from '../messages.ts';

export function describe(thrown: unknown): Thrown {
  try {
    if (thrown instanceof Error) {
      return {
        name: String(thrown.name),
        message: String(thrown.message),
        stack: thrown.stack ? String(thrown.stack) : null,
      };
    }
    return {
      name: 'thrown',
      message: typeof thrown === 'string' ? thrown : Deno.inspect(thrown),
      stack: null,
    };
  } catch {
    return { name: 'thrown', message: 'a value that cannot be shown', stack: null };
  }
}
