/** Which traces are recorded: the samplers of OTEL_TRACES_SAMPLER, as pure decisions at the beginning of a trace. */
import { type Env, value } from './asked.js';
import type { ParentContext } from './trace_context.js';

/** Whether the trace is recorded here. `traceId`: or the UUID that it is made of. `parent`: what the caller said of it. */
export type Sampler = (traceId: string, parent: ParentContext | null) => boolean;

/** Traces a second that a process records where no sampler is named, so that none has to be: new ones, and callers'. */
const UNASKED_NEW = 20;
const UNASKED_CALLERS = 1000;

/**
 * OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG. When nothing is said, or nothing known, which `onError` is told:
 * `parentbased_always_on`, OpenTelemetry's default, but no more than 20 new traces a second and 1000 that callers record.
 * Source: OpenTelemetry, "Environment Variable Specification", General SDK configuration.
 *
 * @param now ms of a clock that only runs forwards.
 */
export function samplerOf(env: Env, onError: (error: unknown) => void, now: () => number): Sampler {
  const name = value(env, 'OTEL_TRACES_SAMPLER');
  if (name === undefined) return unasked(now);
  const based = name.startsWith('parentbased_');
  const root = rootSampler(based ? name.slice('parentbased_'.length) : name, env, onError);
  if (root === null) {
    onError(new Error(`OTEL_TRACES_SAMPLER is ${name}, which is unknown; it counts as unset.`));
    return unasked(now);
  }
  return based ? parentBased(root) : root;
}

function unasked(now: () => number): Sampler {
  const follow = atMost(UNASKED_CALLERS, now);
  const begin = atMost(UNASKED_NEW, now);
  return (traceId, parent) =>
    parent === null ? begin(traceId, null) : parent.sampled && follow(traceId, parent);
}

function parentBased(root: Sampler): Sampler {
  return (traceId, parent) => (parent === null ? root(traceId, null) : parent.sampled);
}

/** As many at once as in a second. */
function atMost(perSecond: number, now: () => number): Sampler {
  let tokens = perSecond;
  let filled = now();
  return () => {
    const at = now();
    tokens = Math.min(perSecond, tokens + ((at - filled) * perSecond) / 1000);
    filled = at;
    if (tokens < 1) return false;
    tokens--;
    return true;
  };
}

function rootSampler(name: string, env: Env, onError: (error: unknown) => void): Sampler | null {
  switch (name) {
    case 'always_on':
      return () => true;
    case 'always_off':
      return () => false;
    case 'traceidratio': {
      const ratio = readRatio(value(env, 'OTEL_TRACES_SAMPLER_ARG'), onError);
      return (traceId) => randomnessOf(traceId) >= 1 - ratio;
    }
    default:
      return null;
  }
}

/** From 0 to 1; 1 when nothing, or nonsense, is given. */
function readRatio(text: string | undefined, onError: (error: unknown) => void): number {
  if (text === undefined) return 1;
  const ratio = Number(text);
  if (ratio >= 0 && ratio <= 1) return ratio;
  onError(new Error(`OTEL_TRACES_SAMPLER_ARG is ${text}, which is not from 0 to 1; 1 is used.`));
  return 1;
}

/**
 * From 0 to less than 1, of the last 56 bits, which are random in every trace id: the same trace gets the same verdict
 * wherever this rule is followed. Source: OpenTelemetry, "TraceState: Probability Sampling", and W3C Trace Context 2.
 */
function randomnessOf(traceId: string): number {
  return Number.parseInt(traceId.replaceAll('-', '').slice(18, 31), 16) / 2 ** 52;
}
