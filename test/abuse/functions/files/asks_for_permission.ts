// Asks for what it does not have.
import { tries } from '../tries.ts';

export default () =>
  tries(
    Object.fromEntries(
      (['read', 'write', 'run', 'ffi', 'sys'] as const).map((name) => [
        name,
        async () => {
          const { state } = await Deno.permissions.request({ name });
          if (state !== 'granted') throw new Error(state);
          return state;
        },
      ]),
    ),
  );
