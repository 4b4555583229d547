/** A process of the pool without a pool around it. */
import type { DenoProcess } from '../../src/pool/process.js';

/**
 * Makes a function of a blank process, with a network and an environment. Resolves once its module has loaded, with the lines
 * that it logs, to which later ones are added.
 */
export async function become(
  blank: DenoProcess,
  code: string,
  env: Record<string, string> = {},
): Promise<readonly string[]> {
  const lines: string[] = [];
  await blank.specialise(
    {
      tenant: 'default',
      function: 'tested',
      code: Buffer.from(code),
      v8: null,
      env,
      permissions: { net: true, env: true, read: false, write: false },
      tracing: { spans: false, logs: false },
      loadTimeoutMs: 20_000,
    },
    {
      onLog: (_, given) => lines.push(...given.map(([, , text]) => text)),
      onSpan: () => {},
      onEnd: () => {},
      onCodeCache: () => {},
    },
  );
  return lines;
}
