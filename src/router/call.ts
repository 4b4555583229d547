/**
 * One call of a function: from the slot it gets to the last byte of its answer. The hot path: a small call goes in a frame
 * to the process and comes back in one; what is large or streamed goes over HTTP, head and body straight from the
 * process's connection to the client's. There are no `Request` or `Response` objects in between.
 */
import type { IncomingMessage } from 'node:http';
import { HearthError } from '../errors.js';
import type { ExecutionStatus } from '../store/types.js';
import { type Denial, FrameKind, isDue, type Roster, type Seated } from '../supervisor/protocol.js';
import { headerList } from './answer_head.js';
import { createBody, type RequestBody } from './body.js';
import { type CallDescription, executionOf } from './call_description.js';
import { noteEnd, noteRefused } from './call_notes.js';
import { noteAsked, noteGranted } from './call_times.js';
import { type FrameHandler, fitsFrame } from './channel.js';
import type { ClientAnswer } from './client_answer.js';
import type { ConnectionHandler } from './connection.js';
import type { ExecutionNotes } from './execution_notes.js';
import {
  functionFailed,
  functionTimedOut,
  isUnreached,
  MAX_ATTEMPTS,
  processEnded,
  requestTooLarge,
  type Thrown,
  VERDICT_MS,
} from './failures.js';
import { FunctionAnswer } from './function_answer.js';
import type { Leases, Loading, Slot, Waiting } from './leases.js';
import { answerError } from './respond.js';

/** What all calls of this router share. */
export interface CallContext {
  leases: Leases;
  notes: ExecutionNotes;
  /** Calls that are running, so that the sweep finds those over their time. */
  running: Roster<Running>;
  /** Bytes that a body may have on its way to a function. */
  maxRequestBytes: number;
  /** Bytes that an answer's body may have. */
  maxResponseBytes: number;
  overdue(process: number): void;
  /** The platform had no place for the call. */
  failed(call: CallDescription, error: HearthError): void;
  now(): number;
}

/** What the sweep and the drain do to each. */
export interface Running extends Seated {
  /** The process that it runs on, and since when (Unix ms); null while it waits. */
  place(): { process: number; since: number } | null;
  checkDeadline(now: number): void;
  /** The router stops, and there is no more time. */
  cutOff(): void;
}

/** How a call that ran ended; `at`: ms of performance.now(). */
interface Ending {
  status: ExecutionStatus;
  errorMessage: string | null;
  errorStack: string | null;
  at: number;
}

const UNSEEN = Object.assign(new Error('the process ended before it had seen the call'), { code: 'EPIPE' });
const ENDED = new Error('the process ended');
const BROKEN_OFF = 'The answer broke off: its stream failed, or the process ended.';

export class Call implements ConnectionHandler, FrameHandler, Waiting, Loading, Running {
  seat = -1;
  private readonly context: CallContext;
  private readonly request: CallDescription;
  private readonly incoming: IncomingMessage;
  private readonly outgoing: ClientAnswer;
  private readonly began: number;
  private readonly startedAt: number;
  private deadline: number;
  private slot: Slot | null = null;
  private waiting = 0;
  /** Head and body of its frame; null when it goes over HTTP. */
  private frame: { head: string; body: string } | null = null;
  /** Its number on the slot's channel while it is there; 0 otherwise. */
  private framed = 0;
  /** The same, while its answer is fetched. */
  private fetched = 0;
  private collecting = false;
  /** Takes up the answer that came before the word that the module is loaded. */
  private held: (() => void) | null = null;
  /** How the process was lost, where that was while it loaded as far as is known here. */
  private lost: Error | null = null;
  /** Whether the function saw the call, for certain. */
  private seen = false;
  private body: RequestBody | null = null;
  private attempts = 0;
  private over = false;
  private cold = false;
  private readonly answer: FunctionAnswer;
  private version: number;
  /** The process whose secrets may be in what it told. */
  private secretsOf: number | null = null;
  private stopAsking: (() => void) | null = null;
  /** While an answer is taken up: notes wait until those that came with it are out as well. */
  private answering = false;
  private ending: Ending | null = null;

  constructor(
    context: CallContext,
    request: CallDescription,
    incoming: IncomingMessage,
    outgoing: ClientAnswer,
  ) {
    this.context = context;
    this.request = request;
    this.incoming = incoming;
    this.outgoing = outgoing;
    this.version = request.fn.version;
    this.began = performance.now();
    this.startedAt = context.now();
    this.deadline = this.startedAt + request.fn.timeout_seconds * 1000;
    this.answer = new FunctionAnswer(this, request, outgoing, context.maxResponseBytes);
    context.running.add(this);
    outgoing.call = this;
  }

  start(): void {
    const { framedBody, hasBody } = this.request;
    if (framedBody !== null) {
      const head = this.frameHead();
      if (fitsFrame(head, framedBody)) {
        this.frame = { head, body: '' };
        if (hasBody) return this.collect(this.frame);
      }
    }
    this.acquire();
  }

  /** A small body is read before a slot is taken, so that a slow client holds none. */
  private collect(frame: { body: string }): void {
    const { incoming } = this;
    this.collecting = true;
    incoming.setEncoding('latin1');
    incoming.on('data', (text: string) => {
      frame.body += text;
    });
    incoming.on('end', () => {
      this.collecting = false;
      if (!this.over) this.acquire();
    });
  }

  private frameHead(): string {
    const { executionId, headers, url } = this.request;
    let head = `${this.incoming.method}\n${url}\n${executionId}`;
    for (const part of headers) head += `\n${part}`;
    return head;
  }

  /** Takes a slot, or waits for one. */
  private acquire(): void {
    this.attempts++;
    const { fn, times } = this.request;
    const slot = this.context.leases.take(fn.id, fn.version);
    if (slot !== null) return this.onSlot(slot);
    if (times !== null) noteAsked(times, performance.now());
    this.waiting = this.context.leases.wait(fn.id, this, isDue(this.request.trigger));
  }

  onSlot(slot: Slot): void {
    this.waiting = 0;
    this.slot = slot;
    this.cold ||= slot.cold;
    const { address } = slot.lease;
    this.version = address.version;
    this.secretsOf = address.secrets ? address.process : null;
    if (this.over) return this.leave(true);
    const { times } = this.request;
    if (times !== null) noteGranted(times, performance.now(), slot.cold ? slot.lease : null);
    const { loading } = slot.lease;
    if (loading === null) {
      this.beginClock();
      return this.send(slot);
    }
    loading.add(this);
    // The loading has a limit of its own.
    this.deadline = Number.POSITIVE_INFINITY;
    // A frame waits in the process; what goes over HTTP waits here.
    if (this.frame !== null) this.send(slot);
  }

  onLoaded(): void {
    const { slot } = this;
    if (this.over || slot === null) return;
    if (this.request.times !== null) this.request.times.loaded = performance.now();
    this.beginClock();
    const { lost } = this;
    if (lost !== null) {
      this.forgetLost();
      return this.onError(lost);
    }
    if (this.frame === null) this.send(slot);
    this.held?.();
  }

  onLoadFailed(denial: Denial | null): void {
    if (this.over) return;
    if (this.held !== null) return this.held(); // it has loaded, and answered
    this.forgetLost();
    if (this.framed !== 0) this.slot?.lease.channel.abort(this.framed);
    this.framed = 0;
    this.leave(true);
    if (denial !== null) this.onDenied(denial);
    else if (this.attempts < MAX_ATTEMPTS) this.acquire();
    else this.crashed('crash');
  }

  private forgetLost(): void {
    this.lost = null;
    this.stopAsking?.();
    this.stopAsking = null;
  }

  /** Waiting for capacity, and for a process to load, does not count as the function's own time. */
  private beginClock(): void {
    this.deadline = this.context.now() + this.request.fn.timeout_seconds * 1000;
  }

  private send(slot: Slot): void {
    if (this.frame !== null) {
      this.framed = slot.lease.channel.send(this.frame.head, this.frame.body, this);
      return;
    }
    const { hasBody } = this.request;
    this.body ??= createBody(this.incoming, hasBody, this.context.maxRequestBytes, () => this.tooLarge());
    this.context.leases.connect(slot).send(
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

  onAnswer(kind: number, cpuUs: number, status: number, head: string, body: Buffer): void {
    this.answering = true;
    const lease = this.slot?.lease;
    if (lease !== undefined && lease.loading !== null) {
      if (this.request.tellsTimes && !this.over) {
        // The supervisor is about to tell how long its stages took.
        this.held = () => {
          this.onAnswer(kind, cpuUs, status, head, body);
          this.afterAnswer();
        };
        return;
      }
      this.context.leases.loaded(lease);
    }
    const call = this.framed;
    this.framed = 0;
    if (this.over) return this.leave(true);
    if (kind === FrameKind.Take) {
      this.fetched = call;
      return this.fetchAnswer(head);
    }
    if (lease === undefined) return;
    const { answer } = this;
    answer.kind = kind === FrameKind.Done ? 'd' : kind === FrameKind.Failed ? 'e' : 'm';
    answer.cpuMs = cpuUs / 1000;
    const bare = status === 204 || status === 304;
    if (!answer.beginWhole(lease.channel, status, head, body.length))
      answer.begin(status, headerList(head), body.length, bare ? '' : String(body.length), null);
    if (body.length > 0 && !bare) this.onData(body);
    this.onComplete();
  }

  afterAnswer(): void {
    this.answering = false;
    const { ending } = this;
    if (ending === null) return;
    this.ending = null;
    this.note(ending);
  }

  onLost(unseen: boolean): void {
    this.framed = 0;
    this.onError(unseen ? UNSEEN : ENDED);
  }

  /** The answer is large or streamed: it waits in the process to be fetched over HTTP. */
  private fetchAnswer(ticket: string): void {
    const { slot } = this;
    if (slot === null) return;
    this.seen = true;
    const { token } = slot.lease.address;
    const headers = ['host', 'hearth.internal', 'x-hearth-take', token + ticket];
    const request = { method: 'GET', target: 'http://hearth.internal/', headers, body: null };
    this.context.leases.connect(slot).send(request, this);
  }

  onHeaders(status: number, received: string[], length: number | null): void {
    if (!this.over) this.answer.begin(status, received, length, null, this.slot?.lease.address.token ?? null);
  }

  /** The request's body goes on beyond what one may have. */
  private tooLarge(): void {
    if (this.over) return;
    this.finish('error', requestTooLarge(this.context.maxRequestBytes), null);
    this.cut();
  }

  unsendable(why: string): void {
    const thrown = { name: 'Error', message: `the answer cannot be sent: ${why}`, stack: null };
    this.finish('error', functionFailed(this.request.fn), thrown);
    this.cut();
  }

  onData(chunk: Buffer): boolean {
    if (this.over || this.answer.write(chunk)) return true;
    this.outgoing.once('drain', () => this.slot?.connection?.resume());
    return false;
  }

  onComplete(): void {
    this.leave(true);
    if (this.over) return;
    const thrown = this.answer.end();
    if (thrown !== null) return this.finish('error', functionFailed(this.request.fn), thrown);
    this.finish('success', null, null);
  }

  onError(error: Error): void {
    const process = this.slot?.lease.address.process ?? 0;
    if (this.over) return this.leave(false);
    if (this.slot !== null && this.slot.lease.loading !== null) {
      // Whether it had loaded, and may have begun with the call, is the supervisor's to say.
      this.lost = error;
      const timer = setTimeout(() => {
        this.leave(false);
        this.crashed('crash');
      }, VERDICT_MS);
      this.stopAsking = () => clearTimeout(timer);
      return;
    }
    if (!this.reached(error) && this.slot !== null) {
      const slot = this.slot;
      this.slot = null;
      this.context.leases.lost(slot);
      if (this.attempts < MAX_ATTEMPTS) return this.acquire();
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

  place(): { process: number; since: number } | null {
    if (this.slot === null) return null;
    return { process: this.slot.lease.address.process, since: this.startedAt };
  }

  /** Called by the sweep. */
  checkDeadline(now: number): void {
    if (now < this.deadline || this.over) return;
    if (this.collecting) {
      return this.refuse(new HearthError('INVALID_REQUEST', "The request's body did not arrive in time."));
    }
    if (this.slot === null) return;
    const { lease } = this.slot;
    const { fn } = this.request;
    this.context.overdue(lease.address.process);
    const error = functionTimedOut(fn);
    this.finish('timeout', error, null);
    this.cut();
  }

  /** The router stops, and this call has not finished in the time it had. */
  cutOff(): void {
    if (this.over) return;
    this.finish(
      'cancelled',
      new HearthError('UNAVAILABLE', 'The node is stopping.', { retryAfter: 1 }),
      null,
    );
    this.cut();
  }

  /** Also when it has all of the answer. */
  clientGone(): void {
    if (this.over) return;
    if (this.waiting !== 0) this.context.leases.cancel(this.waiting);
    const loads = this.slot !== null && this.slot.lease.loading !== null;
    const ran = !loads && (this.slot !== null || this.stopAsking !== null);
    this.over = true;
    this.settle();
    if (ran) this.end('cancelled', 'The client went away before the answer was complete.', null);
    this.cut();
  }

  /** Breaks off what the slot is doing for this call. */
  private cut(): void {
    const { slot } = this;
    if (slot === null) return;
    if (this.framed === 0) {
      if (this.fetched !== 0) slot.lease.channel.giveUp(this.fetched);
      return slot.connection?.destroy();
    }
    slot.lease.channel.abort(this.framed);
    this.framed = 0;
    this.leave(true);
  }

  /** Whether the process may have begun to work on the request. */
  private reached(error: Error): boolean {
    return this.seen || this.answer.statusCode !== null || this.body?.touched === true || !isUnreached(error);
  }

  private crashed(reason: string): void {
    this.finish('error', processEnded(this.request.fn, reason), null);
  }

  /** Gives the slot back. */
  private leave(reusable: boolean): void {
    const slot = this.slot;
    if (slot === null) return;
    this.slot = null;
    slot.lease.loading?.delete(this);
    this.context.leases.free(slot, reusable);
  }

  /** The call never ran. */
  private refuse(error: HearthError): void {
    this.over = true;
    this.settle();
    if (error.status >= 500) this.context.failed(this.request, error);
    if (this.request.trace !== null) noteRefused(this.request.trace.noted, this.request, error.code);
    answerError(this.outgoing, error, { requestId: this.request.requestId }, this.corsHeaders());
    this.request.series.refused(error.code);
  }

  private finish(status: ExecutionStatus, error: HearthError | null, thrown: Thrown | null): void {
    if (this.over) return;
    this.over = true;
    this.settle();
    if (error !== null) {
      if (!this.outgoing.headersSent) this.answer.statusCode = error.status;
      const { requestId, executionId } = this.request;
      answerError(this.outgoing, error, { requestId, executionId }, this.corsHeaders());
    }
    const message = thrown === null ? (error?.message ?? null) : thrown.message;
    if (error !== null && this.request.trace !== null) this.request.trace.noted.code = error.code;
    this.end(status, message, thrown?.stack ?? null);
  }

  private settle(): void {
    this.context.running.delete(this);
    this.stopAsking?.();
  }

  /** The function's CORS headers go on errors too, so that a browser shows the error and not a CORS failure. */
  private corsHeaders(): string[] {
    return this.request.answerHeaders.slice(4);
  }

  private end(status: ExecutionStatus, errorMessage: string | null, errorStack: string | null): void {
    const ending = { status, errorMessage, errorStack, at: performance.now() };
    if (this.answering) this.ending = ending;
    else this.note(ending);
  }

  private note({ status, errorMessage, errorStack, at }: Ending): void {
    const { series, trace } = this.request;
    const { kind, cpuMs, bytes, statusCode, result } = this.answer;
    const duration = at - this.began;
    const done = kind === 'd';
    series.finished(status, this.cold, duration / 1000, bytes, done ? (cpuMs ?? 0) : 0, trace);
    const execution = executionOf(this.request, {
      version: this.version,
      status,
      statusCode,
      startedAt: this.startedAt,
      duration,
      cpuMs,
      cold: this.cold,
      result: result?.text() ?? null,
      errorMessage,
      errorStack,
    });
    const { notes } = this.context;
    const { secretsOf } = this;
    if (trace !== null) noteEnd(trace.noted, this.request, execution, secretsOf === null, at);
    const tellsNothing = execution.result === null && execution.error_message === null;
    if (done && (secretsOf === null || tellsNothing)) notes.done(execution);
    else notes.handOver({ execution, secretsOf, complete: done });
  }
}
