/** From a function's code to what is stored: directives are read, then the code is prepared. */
import { HearthError } from '../../errors.js';
import type { FunctionSettings, PreparedCode } from '../../store/types.js';
import type { ApiOptions, SourceToPrepare } from './context.js';
import { readDirectives } from './directives.js';

export interface Deployment {
  prepared: PreparedCode;
  /** What the code's own directives say. */
  settings: Partial<FunctionSettings>;
}

/** Throws HearthError INVALID_FUNCTION for code that cannot load or a directive that is wrong, TOO_LARGE. */
export async function deploy(source: SourceToPrepare, prepare: ApiOptions['prepare']): Promise<Deployment> {
  const prepared = await prepare(source);
  const { settings, errors } = readDirectives(prepared.code);
  const [first] = errors;
  if (first !== undefined) {
    throw new HearthError(
      'INVALID_FUNCTION',
      `Line ${first.line}, column ${first.column}: ${first.message}`,
      {
        details: errors.slice(0, 20),
      },
    );
  }
  return { prepared, settings };
}
