/**
 * One call of a function: from the slot it gets to the last byte of its answer. The hot path: head and body go straight
 * from the process's connection to the client's, without `Request` or `Response` objects in between.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HearthError } from '../errors.js';
import type { Execution, ExecutionStatus, FunctionMeta, TriggerType } from '../store/types.js';
import type { Denial } from '../supervisor/protocol.js';
import { createBody, type RequestBody } from './body.js';
import type { ConnectionHandler } from './connection.js';
import type { ExecutionNotes } from './execution_notes.js';
import {
  functionFailed,
  functionTimedOut,
  isUnreached,
  MAX_ATTEMPTS,
  MAX_ERROR_BYTES,
  processEnded,
  readThrown,
  type Thrown,
  VERDICT_MS,
} from './failures.js';
import type { CallSeries } from './function_entry.js';
import type { Leases, Slot, Waiting } from './leases.js';
import { answerError } from './respond.js';
import { keepResult, type ResultText } from './result_text.js';

/** What all calls of this router share. */
export interface CallContext {
  leases: Leases;
  notes: ExecutionNotes;
  /** Calls that are running, so that the sweep finds those over their time. */
  running: Set<Running>;
  overdue(process: number): void;
  now(): number;
}

/** What the sweep and the drain do to each. */
export interface Running {
  checkDeadline(now: number): void;
  /** The router stops, and there is no more time. */
  cutOff(): void;
}

export interface CallDescription {
  fn: FunctionMeta;
  series: CallSeries;
  trigger: TriggerType;
  executionId: string;
  requestId: string;
  /** The absolute URL that the function sees. */
  url: string;
  hasBody: boolean;
  /** For the process: name, value, name, value … */
  headers: string[];
  /** For the client, on every answer: name, value, name, value … */
  answerHeaders: readonly string[];
}

const SMALL_BODY_BYTES = 8 * 1024;
const BROKEN_OFF = 'The answer broke off: its stream failed, or the process ended.';

export class Call implements ConnectionHandler, Waiting, Running {
  private readonly context: CallContext;
  private readonly request: CallDescription;
  private readonly incoming: IncomingMessage;
  private readonly outgoing: ServerResponse;
  private readonly began: number;
  private readonly startedAt: number;
  private deadline: number;
  private slot: Slot | null = null;
  private waiting = 0;
  private body: RequestBody | null = null;
  private attempts = 0;
  private over = false;
  private cold = false;
  private statusCode: number | null = null;
  /** `d`one, `m`ore to come, `e`rror, or nothing known. */
  private kind = '';
  private cpuMs: number | null = null;
  private errorBody: Buffer[] | null = null;
  private errorBytes = 0;
  private result: ResultText | null = null;
  /** Bytes of the body that are still to come, where its length is known. */
  private left = -1;
  private last: Buffer | null = null;
  private version: number;
  private stopAsking: (() => void) | null = null;

  constructor(
    context: CallContext,
    request: CallDescription,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ) {
    this.context = context;
    this.request = request;
    this.incoming = incoming;
    this.outgoing = outgoing;
    this.version = request.fn.version;
    this.began = performance.now();
    this.startedAt = context.now();
    this.deadline = this.startedAt + request.fn.timeout_seconds * 1000;
    context.running.add(this);
    outgoing.on('close', () => this.clientGone());
  }

  /** Takes a slot, or waits for one. */
  start(): void {
    this.attempts++;
    const { fn } = this.request;
    const slot = this.context.leases.take(fn.id, fn.version);
    if (slot !== null) this.onSlot(slot);
    else this.waiting = this.context.leases.wait(fn.id, this);
  }

  onSlot(slot: Slot): void {
    this.waiting = 0;
    this.slot = slot;
    this.cold ||= slot.cold;
    this.version = slot.lease.address.version;
    if (this.over) return this.leave(true);
    // Waiting for capacity does not count as the function's own time.
    this.deadline = this.context.now() + this.request.fn.timeout_seconds * 1000;
    this.body ??= createBody(this.incoming, this.request.hasBody);
    slot.connection.send(
      {
        method: this.incoming.method ?? 'GET',
        target: this.request.url,
        headers: this.request.headers,
        body: this.body.open(),
      },
      this,
    );
  }

  onDenied(denial: Denial): void {
    this.waiting = 0;
    if (this.over) return;
    const error = new HearthError(
      denial.code,
      denial.message,
      denial.retryAfter === undefined ? {} : { retryAfter: denial.retryAfter },
    );
    if (denial.thrown === undefined && denial.code !== 'FUNCTION_TIMEOUT') return this.refuse(error);
    // The module failed to load: that is an execution, and what it threw belongs to its author.
    this.cold = true;
    this.finish(denial.code === 'FUNCTION_TIMEOUT' ? 'timeout' : 'error', error, denial.thrown ?? null);
  }

  onHeaders(status: number, received: string[], length: number | null): void {
    if (this.over) return;
    const { outgoing } = this;
    const headers: string[] = [];
    let contentType: string | undefined;
    let encoded = false;
    for (let index = 0; index + 1 < received.length; index += 2) {
      const name = received[index] ?? '';
      const value = received[index + 1] ?? '';
      switch (name) {
        case 'x-request-id':
        case 'x-execution-id':
          continue;
        case 'x-hearth':
          this.readMark(value);
          continue;
        case 'content-type':
          contentType = value;
          break;
        case 'content-encoding':
          encoded = true;
          break;
      }
      headers.push(name, value);
    }
    this.statusCode = status;
    if (this.kind === 'e') {
      this.errorBody = [];
      return;
    }
    if (!this.request.fn.disable_execution_logs) this.result = keepResult(contentType, encoded);
    for (const header of this.request.answerHeaders) headers.push(header);
    outgoing.writeHead(status, headers);
    // A stream's head goes out at once; otherwise head and body leave in one write.
    if (length === null) outgoing.flushHeaders();
    else this.left = length;
  }

  onData(chunk: Buffer): boolean {
    if (this.over) return true;
    if (this.errorBody !== null) {
      this.errorBytes += chunk.length;
      if (this.errorBytes <= MAX_ERROR_BYTES) this.errorBody.push(chunk);
      return true;
    }
    this.result?.add(chunk);
    if (this.left >= 0) {
      this.left -= chunk.length;
      if (this.left <= 0) {
        this.last = chunk;
        return true;
      }
    }
    const outgoing = this.outgoing;
    if (outgoing.write(chunk)) return true;
    outgoing.once('drain', () => this.slot?.connection.resume());
    return false;
  }

  onComplete(): void {
    this.leave(true);
    if (this.over) return;
    if (this.errorBody !== null) {
      const thrown = readThrown(Buffer.concat(this.errorBody));
      const error = functionFailed(this.request.fn);
      return this.finish('error', error, thrown);
    }
    const outgoing = this.outgoing;
    if (this.last === null) outgoing.end();
    else if (this.last.length <= SMALL_BODY_BYTES) {
      // As one string head and body leave in one write(2): given to end(), they would take a writev with an empty part.
      outgoing.write(this.last.toString('latin1'), 'latin1');
      outgoing.socket?.uncork();
      outgoing.end();
    } else outgoing.end(this.last);
    this.finish('success', null, null);
  }

  onError(error: Error): void {
    const process = this.slot?.lease.address.process ?? 0;
    if (this.over) return this.leave(false);
    if (!this.reached(error) && this.slot !== null) {
      const slot = this.slot;
      this.slot = null;
      this.context.leases.lost(slot);
      if (this.attempts < MAX_ATTEMPTS) return this.start();
    }
    this.leave(false);
    if (this.outgoing.headersSent)
      return this.finish('error', new HearthError('FUNCTION_CRASHED', BROKEN_OFF), null);
    // The process is ending: the supervisor will say why.
    const timer = setTimeout(() => this.crashed('crash'), VERDICT_MS);
    const forget = this.context.leases.whyGone(process, (reason) => this.crashed(reason));
    this.stopAsking = () => {
      clearTimeout(timer);
      forget();
    };
    if (this.over) this.stopAsking();
  }

  /** Called by the sweep. */
  checkDeadline(now: number): void {
    if (now < this.deadline || this.slot === null || this.over) return;
    const { lease } = this.slot;
    const { fn } = this.request;
    this.context.overdue(lease.address.process);
    const error = functionTimedOut(fn);
    this.finish('timeout', error, null);
    this.slot?.connection.destroy();
  }

  /** The router stops, and this call has not finished in the time it had. */
  cutOff(): void {
    if (this.over) return;
    this.finish(
      'cancelled',
      new HearthError('UNAVAILABLE', 'The node is stopping.', { retryAfter: 1 }),
      null,
    );
    this.slot?.connection.destroy();
  }

  private clientGone(): void {
    if (this.over) return;
    if (this.waiting !== 0) this.context.leases.cancel(this.waiting);
    const ran = this.slot !== null || this.stopAsking !== null;
    this.over = true;
    this.settle();
    if (ran) this.note('cancelled', 'The client went away before the answer was complete.', null);
    this.slot?.connection.destroy();
  }

  /** Whether the process may have begun to work on the request. */
  private reached(error: Error): boolean {
    return this.statusCode !== null || this.body?.touched === true || !isUnreached(error);
  }

  private crashed(reason: string): void {
    this.finish('error', processEnded(this.request.fn, reason), null);
  }

  /** Only what bears the process's token is the platform's own. */
  private readMark(value: string): void {
    const token = this.slot?.lease.address.token ?? '';
    if (!value.startsWith(token)) return;
    this.kind = value.charAt(token.length);
    this.cpuMs = Number(value.slice(token.length + 1)) / 1000;
  }

  /** Gives the slot back. */
  private leave(reusable: boolean): void {
    const slot = this.slot;
    if (slot === null) return;
    this.slot = null;
    this.context.leases.free(slot, reusable);
  }

  /** The call never ran. */
  private refuse(error: HearthError): void {
    this.over = true;
    this.settle();
    answerError(this.outgoing, error, { requestId: this.request.requestId }, this.corsHeaders());
    this.request.series.refused(error.code);
  }

  private finish(status: ExecutionStatus, error: HearthError | null, thrown: Thrown | null): void {
    if (this.over) return;
    this.over = true;
    this.settle();
    if (error !== null) {
      this.statusCode = this.outgoing.headersSent ? this.statusCode : error.status;
      const { requestId, executionId } = this.request;
      answerError(this.outgoing, error, { requestId, executionId }, this.corsHeaders());
    }
    const message = thrown === null ? (error?.message ?? null) : thrown.message;
    this.note(status, message, thrown?.stack ?? null);
  }

  private settle(): void {
    this.context.running.delete(this);
    this.stopAsking?.();
  }

  /** The function's CORS headers go on errors too, so that a browser shows the error and not a CORS failure. */
  private corsHeaders(): string[] {
    return this.request.answerHeaders.slice(4);
  }

  private note(status: ExecutionStatus, errorMessage: string | null, errorStack: string | null): void {
    const { fn, series } = this.request;
    const duration = performance.now() - this.began;
    series.finished(status, this.cold, duration / 1000);
    const execution: Execution = {
      id: this.request.executionId,
      tenant: fn.tenant,
      function_id: fn.id,
      function_name: fn.name,
      version: this.version,
      trigger_type: this.request.trigger,
      trigger_payload: null,
      status,
      status_code: this.statusCode,
      duration_ms: duration,
      cpu_ms: this.cpuMs,
      cold_start: this.cold,
      result: this.result?.text() ?? null,
      logs: null,
      error_message: errorMessage,
      error_stack: errorStack,
      executed_at: new Date(this.startedAt),
      completed_at: new Date(this.startedAt + duration),
      request_id: this.request.requestId,
    };
    if (this.kind === 'd') this.context.notes.done(execution);
    else this.context.notes.toJoin(execution);
  }
}
