/** What processes and routers tell of executions, without the secrets that their process was given. */
import type { FunctionSpan, LogLine, SpanItem, SpanPairs, Thrown } from '../pool/messages.js';
import { cutWithNote, isTooLong } from '../store/cut.js';
import type { Execution } from '../store/types.js';
import type { ExecutionRow } from './protocol.js';
import { REDACTED, type Redact } from './redactor.js';

export interface Redaction {
  /** A process has been given secrets. */
  given(process: number, redact: Redact): void;
  ended(process: number): void;
  /** The execution as it may be stored. */
  of(row: ExecutionRow): Execution;
  /** Forgets what nobody will ask for any more. */
  tick(): void;
}

/** ms after the end of a process in which its last executions have come. What comes later still loses its texts. */
const KEEP_MS = 15_000;

export function createRedaction(now: () => number): Redaction {
  const living = new Map<number, Redact>();
  /** In the order of their ends. */
  const ended = new Map<number, { redact: Redact; until: number }>();

  return {
    given: (process, redact) => void living.set(process, redact),
    ended(process) {
      const redact = living.get(process);
      if (redact === undefined) return;
      living.delete(process);
      ended.set(process, { redact, until: now() + KEEP_MS });
    },
    of({ execution, secretsOf }) {
      if (secretsOf === null) return execution;
      const redact = living.get(secretsOf) ?? ended.get(secretsOf)?.redact ?? (() => REDACTED);
      const { result, error_message, error_stack } = execution;
      return {
        ...execution,
        // It was cut before it came here: without its secrets it may look whole.
        result: result !== null && isTooLong(result) ? cutWithNote(redact(result)) : orNull(redact, result),
        error_message: orNull(redact, error_message),
        error_stack: orNull(redact, error_stack),
      };
    },
    tick() {
      for (const [process, { until }] of ended) {
        if (until > now()) return;
        ended.delete(process);
      }
    },
  };
}

export function redactLines(redact: Redact | null, lines: LogLine[]): LogLine[] {
  return redact === null ? lines : lines.map(([time, level, text]): LogLine => [time, level, redact(text)]);
}

/** Names and values alike: any of them may be made of a secret. */
export function redactSpan(redact: Redact | null, span: FunctionSpan): FunctionSpan {
  if (redact === null) return span;
  const text = (value: SpanItem) => (typeof value === 'string' ? redact(value) : value);
  const pairs = (given: SpanPairs) =>
    given.map(([name, value]): SpanPairs[number] => [
      redact(name),
      typeof value === 'object' ? value.map(text) : text(value),
    ]);
  return {
    ...span,
    name: redact(span.name),
    status: [span.status[0], redact(span.status[1])],
    attributes: pairs(span.attributes),
    events: span.events.map(([name, time, attributes]) => [redact(name), time, pairs(attributes)]),
    scope: [redact(span.scope[0]), redact(span.scope[1])],
  };
}

export function redactThrown(redact: Redact | null, thrown: Thrown): Thrown {
  if (redact === null) return thrown;
  const { name, message, stack } = thrown;
  return { name: redact(name), message: redact(message), stack: orNull(redact, stack) };
}

function orNull(redact: Redact, text: string | null): string | null {
  return text === null ? null : redact(text);
}
