/** What a call is, from its request to its row. */
import type { Execution, ExecutionStatus, FunctionMeta, TriggerType } from '../store/types.js';
import type { CallTimes } from './call_times.js';
import type { CallSeries } from './function_entry.js';
import type { Trace } from './tracing.js';

export interface CallDescription {
  fn: FunctionMeta;
  series: CallSeries;
  trigger: TriggerType;
  executionId: string;
  requestId: string;
  /** The absolute URL that the function sees. */
  url: string;
  hasBody: boolean;
  /** Bytes of body, where the request may go in a frame; null where it may not. */
  framedBody: number | null;
  /** For the process: name, value, name, value … */
  headers: string[];
  /** For the client, on every answer: name, value, name, value … */
  answerHeaders: readonly string[];
  /** Null: nobody wants to see them. */
  times: CallTimes | null;
  /** Whether the caller may see where the call's time goes. */
  tellsTimes: boolean;
  /** Null: it is not recorded. */
  trace: Trace | null;
}

/** How it went. */
export interface Outcome {
  /** Of the function that served it. */
  version: number;
  status: ExecutionStatus;
  statusCode: number | null;
  /** Unix ms. */
  startedAt: number;
  /** ms. */
  duration: number;
  cpuMs: number | null;
  /** Whether it waited for its process to start. */
  cold: boolean;
  result: string | null;
  errorMessage: string | null;
  errorStack: string | null;
}

export function executionOf(call: CallDescription, outcome: Outcome): Execution {
  const { fn } = call;
  return {
    id: call.executionId,
    tenant: fn.tenant,
    function_id: fn.id,
    function_name: fn.name,
    version: outcome.version,
    trigger_type: call.trigger,
    trigger_payload: null,
    status: outcome.status,
    status_code: outcome.statusCode,
    duration_ms: outcome.duration,
    cpu_ms: outcome.cpuMs,
    cold_start: outcome.cold,
    result: outcome.result,
    logs: null,
    error_message: outcome.errorMessage,
    error_stack: outcome.errorStack,
    executed_at: new Date(outcome.startedAt),
    completed_at: new Date(outcome.startedAt + outcome.duration),
    request_id: call.requestId,
  };
}

/** What the log says of a call. */
export function logFields({ fn, requestId, executionId, headers }: CallDescription) {
  const traceparent = headers[headers.lastIndexOf('traceparent') + 1] ?? '';
  return {
    request_id: requestId,
    execution_id: executionId,
    tenant: fn.tenant,
    function: fn.name,
    trace_id: traceparent.slice(3, 35),
    span_id: traceparent.slice(36, 52),
  };
}
