/**
 * Calls of the function, as they come: in frames, or as HTTP requests. A handler that answers at once is answered at
 * once: each promise on this path costs more than all else here.
 */
import { CallTable } from '../call_table.ts';
import { FrameKind, MAX_FRAMED_ANSWER } from '../frames.ts';
import type { Claim } from '../messages.ts';
import { BadAnswer, toResponse, withHeader } from './answer.ts';
import { type Control, thrownToJson } from './control.ts';
import { after } from './deno_core.ts';
import { describe } from './describe.ts';
import type { Execution, Executions } from './execution.ts';
import { asRequest, FramedRequest, INTERNAL } from './framed_request.ts';
import type { Channel, ChannelEvents } from './frames.ts';
import { CallContext, type Completion, type Handler } from './handler.ts';
import type { HttpServer } from './http.ts';
import {
  headersAppend,
  headersForEach,
  headersGet,
  OwnHeaders,
  OwnRequest,
  OwnResponse,
  slice,
  sliceBytes,
  split,
  startsWith,
  Table,
} from './intrinsics.ts';
import type { Logs } from './logs.ts';
import { headOf, readStatic, type StaticAnswer } from './static_answer.ts';

export interface CallsOptions {
  control: Control;
  executions: Executions;
  logs: Logs;
  waitUntil(promise: unknown): void;
  http: HttpServer;
}

export interface Calls {
  /** From now on calls go to this handler. */
  open(claim: Claim, handler: Handler): void;
  frames: ChannelEvents;
  /** Answers a made-up call by each of the handlers, before the first real one. */
  rehearse(channel: Channel, handlers: Handler[]): Promise<void>;
}

/** Where a frame's answer goes. */
interface Origin {
  readonly channel: Channel;
  readonly call: number;
  readonly request: FramedRequest;
  /** Under which its answer waits to be fetched. */
  ticket?: string;
}

/** One that waits for the module. */
interface EarlyCall {
  readonly channel: Channel;
  readonly call: number;
  readonly head: string;
  readonly body: Uint8Array<ArrayBuffer> | null;
  over: boolean;
  next: EarlyCall | null;
}

export function createCalls({ control, executions, logs, waitUntil, http }: CallsOptions): Calls {
  let handler: Handler | undefined;
  let claim: Claim | undefined;
  /** Marks our own header on answers over HTTP: known to the router, and not to the function. */
  let mark = '';
  /** Answers that a router is to fetch over HTTP, by their ticket. */
  const held = new Table<string, { response: Response; origin: Origin }>();
  /** Framed calls that are not answered yet. */
  const open = new Table<Channel, CallTable<Origin>>();
  let tickets = 0;
  /** Calls that came before the module was loaded, as a list that no function can watch. */
  let early: EarlyCall | null = null;
  let lastEarly: EarlyCall | null = null;

  function onCall(channel: Channel, call: number, head: string, body: Uint8Array<ArrayBuffer> | null) {
    if (handler === undefined) {
      const kept = body === null ? null : (sliceBytes(body) as Uint8Array<ArrayBuffer>);
      const each: EarlyCall = { channel, call, head, body: kept, over: false, next: null };
      if (lastEarly === null) early = each;
      else lastEarly.next = each;
      lastEarly = each;
      return;
    }
    const lines = split(head, '\n');
    const framed = new FramedRequest(lines, body);
    const request = asRequest(framed);
    const execution = executions.begin(lines[2] as string, (name) => FramedRequest.internal(framed, name));
    const context = new CallContext(execution, claim, waitUntil);
    const origin = { channel, call, request: framed };
    let response: Response;
    try {
      const value = executions.run(execution, handler, request, context, new FramedCompletion(framed));
      if (value instanceof Promise) {
        openOf(channel).set(call, origin);
        void settleFramed(origin, execution, value);
        return;
      }
      response = toResponse(value);
    } catch (thrown) {
      return fail(origin, execution, thrown);
    }
    reply(origin, execution, response);
  }

  async function settleFramed(origin: Origin, execution: Execution, promise: Promise<unknown>) {
    let response: Response;
    try {
      response = toResponse(await promise);
    } catch (thrown) {
      return fail(origin, execution, thrown);
    }
    reply(origin, execution, response);
  }

  function fail({ channel, call, request }: Origin, execution: Execution, thrown: unknown) {
    const text = executions.run(execution, errorText, thrown);
    const cpuUs = executions.finish(execution);
    close(execution, cpuUs);
    openOf(channel).take(call);
    FramedRequest.finish(request);
    channel.answer(call, FrameKind.Failed, cpuUs, 500, '', text);
  }

  function reply(origin: Origin, execution: Execution, response: Response) {
    const { channel, call, request } = origin;
    let found: StaticAnswer | null;
    try {
      if (response.status === 101) throw new BadAnswer(NO_UPGRADE);
      found = readStatic(response);
      if (found === null) headOf(response);
    } catch (thrown) {
      return fail(origin, execution, thrown);
    }
    const cpuUs = executions.finish(execution);
    const more = close(execution, cpuUs);
    if (found !== null && (found.body === null || found.body.length <= MAX_FRAMED_ANSWER)) {
      openOf(channel).take(call);
      FramedRequest.finish(request);
      const kind = more ? FrameKind.More : FrameKind.Done;
      channel.answer(call, kind, cpuUs, found.status, found.head, found.body);
      return;
    }
    if (FramedRequest.isAborted(request)) {
      FramedRequest.finish(request);
      return discard(response);
    }
    const ticket = `${++tickets}`;
    origin.ticket = ticket;
    if (openOf(channel).get(call) === undefined) openOf(channel).set(call, origin);
    held.set(ticket, {
      response: withHeader(response, 'x-hearth', `${mark}${more ? 'm' : 'd'}${cpuUs}`),
      origin,
    });
    serveHttp();
    channel.answer(call, FrameKind.Take, cpuUs, 200, ticket, null);
  }

  /** Whether more about the execution comes over the control channel. */
  function close(execution: Execution, cpuUs: number): boolean {
    execution.answered = true;
    const more = execution.logged || execution.waiting > 0;
    if (more && execution.waiting === 0) control.send({ t: 'end', id: execution.id, cpuUs });
    return more;
  }

  function openOf(channel: Channel): CallTable<Origin> {
    let calls = open.get(channel);
    if (calls === undefined) {
      calls = new CallTable();
      open.set(channel, calls);
    }
    return calls;
  }

  function onAbort(channel: Channel, call: number) {
    for (let each = early; each !== null; each = each.next)
      if (each.channel === channel && each.call === call) each.over = true;
    const origin = open.get(channel)?.take(call);
    if (origin === undefined) return;
    giveUp(origin);
  }

  function onClosed(channel: Channel) {
    for (let each = early; each !== null; each = each.next) if (each.channel === channel) each.over = true;
    open.get(channel)?.forEach(giveUp);
    open.delete(channel);
  }

  /** Nobody waits for it any more, nor comes for its answer. */
  function giveUp({ request, ticket }: Origin) {
    FramedRequest.abort(request);
    const found = ticket === undefined ? undefined : held.get(ticket);
    if (ticket === undefined || found === undefined) return;
    held.delete(ticket);
    discard(found.response);
  }

  /** One over HTTP: a call, or a router that comes for the answer to one. */
  function answer(request: Request, info: Deno.ServeHandlerInfo): Response | Promise<Response> {
    const id = headersGet(request.headers, 'x-execution-id');
    if (id === null) return take(request);
    if (handler === undefined) return new OwnResponse(null, { status: 204 });
    const { headers } = request;
    const execution = executions.begin(id, (name) => headersGet(headers, name));
    const upgrades = headersGet(headers, 'upgrade') !== null;
    try {
      const context = new CallContext(execution, claim, waitUntil);
      // An upgrade needs the very request that came.
      const visible = upgrades ? request : withoutInternal(request);
      const value = executions.run(execution, handler, visible, context, info);
      if (value instanceof Promise) return settle(execution, value, upgrades);
      return finish(execution, sendable(value, upgrades), '');
    } catch (thrown) {
      return finish(execution, executions.run(execution, errorAnswer, thrown), 'e');
    }
  }

  async function settle(
    execution: Execution,
    promise: Promise<unknown>,
    upgrades: boolean,
  ): Promise<Response> {
    try {
      return finish(execution, sendable(await promise, upgrades), '');
    } catch (thrown) {
      return finish(execution, executions.run(execution, errorAnswer, thrown), 'e');
    }
  }

  /** Tells the router the CPU time, and whether more about this execution comes over the control channel. */
  function finish(execution: Execution, response: Response, failed: 'e' | ''): Response {
    const cpuUs = executions.finish(execution);
    const more = close(execution, cpuUs);
    return withHeader(response, 'x-hearth', `${mark}${failed || (more ? 'm' : 'd')}${cpuUs}`);
  }

  function take(request: Request): Response {
    const ticket = headersGet(request.headers, 'x-hearth-take');
    if (ticket === null || mark === '' || !startsWith(ticket, mark))
      return new OwnResponse(null, { status: 204 });
    const key = slice(ticket, mark.length);
    const found = held.get(key);
    if (found === undefined) return new OwnResponse(null, { status: 410 });
    held.delete(key);
    const { channel, call, request: framed } = found.origin;
    openOf(channel).take(call);
    FramedRequest.finish(framed);
    request.signal.addEventListener('abort', () => FramedRequest.abort(framed));
    return found.response;
  }

  function unanswerable(thrown: unknown): Response {
    return withHeader(errorAnswer(thrown), 'x-hearth', `${mark}e0`);
  }

  function serveHttp() {
    http.serve(answer, unanswerable);
  }

  function errorText(thrown: unknown): string {
    const error = describe(thrown);
    logs.write('error', error.stack ?? `${error.name}: ${error.message}`);
    return thrownToJson(error);
  }

  function errorAnswer(thrown: unknown): Response {
    return new OwnResponse(errorText(thrown), { status: 500 });
  }

  async function rehearse(channel: Channel, handlers: Handler[]) {
    for (const each of handlers) {
      handler = each;
      onCall(channel, 0, REHEARSED, null);
    }
    handler = undefined;
    await new Promise<void>((resolve) => after(0, resolve)); // those that answer later have then
    open.delete(channel);
  }

  return {
    rehearse,
    open(ours, found) {
      claim = ours;
      mark = ours.token;
      handler = found;
      const first = early;
      early = null;
      lastEarly = null;
      if (first !== null) executions.arrive(first.next === null ? 1 : 2);
      for (let each = first; each !== null; each = each.next)
        if (!each.over) onCall(each.channel, each.call, each.head, each.body);
    },
    frames: { onArrival: executions.arrive, onCall, onAbort, onHttp: serveHttp, onClosed },
  };
}

function discard(response: Response) {
  // A stream that fails while it is given up has nobody to tell.
  response.body?.cancel().catch(() => {});
}

const REHEARSED = 'GET\nhttp://localhost/\n0\nhost\nlocalhost';
const NO_UPGRADE = 'the function answered with 101 to a request that asks for no upgrade';

function sendable(value: unknown, upgrades: boolean): Response {
  const response = toResponse(value);
  if (response.status === 101 && !upgrades) throw new BadAnswer(NO_UPGRADE);
  headOf(response);
  return response;
}

/** The request without the headers that the router added for the runner alone. */
function withoutInternal(request: Request): Request {
  let internal = false;
  headersForEach(request.headers, (_, name) => {
    internal ||= startsWith(name, INTERNAL);
  });
  if (!internal) return request;
  const headers = new OwnHeaders();
  headersForEach(request.headers, (value, name) => {
    if (!startsWith(name, INTERNAL)) headersAppend(headers, name, value);
  });
  return new OwnRequest(request, { headers });
}

/** When a framed call is over, for a handler that asks. */
class FramedCompletion implements Completion {
  readonly #request: FramedRequest;
  constructor(request: FramedRequest) {
    this.#request = request;
  }
  get completed(): Promise<void> {
    return FramedRequest.completed(this.#request);
  }
}
