/** What a call is told that gets no slot. */
import type { FunctionMeta } from '../../store/types.js';
import type { Denial } from '../protocol.js';
import { retryAfter } from './scaling.js';

export function overloaded(fn: FunctionMeta, why: string): Denial {
  return {
    code: 'OVERLOADED',
    message: `The function ${fn.name} has no capacity left: ${why}. Try again shortly.`,
    retryAfter: retryAfter(fn),
  };
}

export function overQuota(fn: FunctionMeta): Denial {
  return {
    code: 'QUOTA_EXCEEDED',
    message: `The tenant ${fn.tenant} has as many processes, or as much memory, as its quota allows, and none came free.`,
    retryAfter: retryAfter(fn),
  };
}
