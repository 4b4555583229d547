/** Running processes get new tokens to call the platform with: before theirs end, and when their tenant's secret changed. */
import type { DenoProcess } from '../pool/process.js';
import type { Fleet } from './fleet.js';
import type { ProcessTokens } from './process_tokens.js';

export interface TokenRenewalOptions {
  /** Those that are a function's, by their ids. */
  processes: ReadonlyMap<number, DenoProcess>;
  fleet: Pick<Fleet, 'instanceOf'>;
  tokens: Pick<ProcessTokens, 'tokenOf' | 'anonKeyOf'>;
}

/** @param tenant only of its functions, whose keys are signed anew; null: of all. */
export type RenewTokens = (tenant: string | null) => void;

export function createTokenRenewal({ processes, fleet, tokens }: TokenRenewalOptions): RenewTokens {
  return (tenant) => {
    for (const process of processes.values()) {
      const fn = fleet.instanceOf(process.id)?.fn;
      if (fn === undefined || (tenant !== null && fn.tenant !== tenant)) continue;
      const token = tokens.tokenOf(fn.tenant);
      process.setEnv({
        HEARTH_TOKEN: token,
        FLUXBASE_TOKEN: token,
        ...(tenant === null ? {} : { SUPABASE_ANON_KEY: tokens.anonKeyOf(tenant) }),
      });
    }
  };
}
