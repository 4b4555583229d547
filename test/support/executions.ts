/** Executions to write in tests. */
import { randomBytes } from 'node:crypto';
import type { Execution } from '../../src/store/types.js';

export const FUNCTION_ID = '01900000-0000-7000-8000-000000000001';

/** A UUIDv7 of that time (RFC 9562, section 5.7); `n` orders those of one millisecond. */
export function uuidv7(time: Date, n = 0): string {
  const hex = time.getTime().toString(16).padStart(12, '0');
  const rest = randomBytes(8).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7${n.toString(16).padStart(3, '0')}-8${rest.slice(1, 4)}-${rest.slice(4)}`;
}

/** A successful HTTP execution, but for what is given. */
export function execution(given: Partial<Execution> = {}): Execution {
  const executed_at = given.executed_at ?? new Date();
  return {
    id: uuidv7(executed_at),
    tenant: 'default',
    function_id: FUNCTION_ID,
    function_name: 'hello',
    version: 1,
    trigger_type: 'http',
    trigger_payload: { method: 'GET', path: '/functions/v1/hello' },
    status: 'success',
    status_code: 200,
    duration_ms: 1.25,
    cpu_ms: 0.5,
    cold_start: false,
    result: '{"hello":"world"}',
    logs: null,
    error_message: null,
    error_stack: null,
    executed_at,
    completed_at: new Date(executed_at.getTime() + 1),
    request_id: 'request',
    ...given,
  };
}
