/**
 * Calls that the supervisor hands over when their time has come: they run as any call does, with a request that was kept
 * in the place of a client's, and their answer goes into their execution alone.
 */
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { HearthError } from '../errors.js';
import type { DueCall, DueOutcome, ExecutionRow } from '../supervisor/protocol.js';
import type { Admission, Admissions, TenantLimits } from './budgets_admission.js';
import { Call, type CallContext } from './call.js';
import { ClientAnswer } from './client_answer.js';
import { type Called, describeCall } from './describe_call.js';
import type { FunctionEntry } from './function_entry.js';
import type { FunctionTable } from './functions.js';
import { readHeaders } from './headers.js';
import type { Principal } from './principal.js';
import type { TenantTable } from './tenants.js';
import type { TokenMint } from './token_mint.js';
import type { Tracing } from './tracing.js';

export interface DueCallsOptions {
  functions: FunctionTable<FunctionEntry>;
  tenants: TenantTable;
  calls: CallContext;
  mint: TokenMint;
  admit: Admissions['admit'];
  /** Null: nothing is recorded. */
  tracing: Promise<Tracing | null>;
  isDraining(): boolean;
}

export interface DueCalls {
  /** Resolves when the call is over. */
  run(due: DueCall): Promise<DueOutcome>;
  /** That run now. */
  size(): number;
}

export function createDueCalls(options: DueCallsOptions): DueCalls {
  const { functions, tenants } = options;
  let running = 0;

  /** @throws what a caller would be told. */
  async function begin(due: DueCall): Promise<DueOutcome> {
    if (options.isDraining()) throw new HearthError('UNAVAILABLE', 'The node is stopping.');
    const entry = functions.byId(due.functionId);
    const tenant = entry === undefined ? undefined : tenants.bySlug(entry.meta.tenant);
    if (entry === undefined || tenant === undefined)
      throw new HearthError('NOT_FOUND', 'The function is not known here yet.');
    const { slug, status } = tenant.tenant;
    if (status !== 'active') throw new HearthError('FORBIDDEN', `The tenant ${slug} is ${status}.`);
    const { meta } = entry;
    if (!meta.enabled) throw new HearthError('FUNCTION_DISABLED', `The function ${meta.name} is disabled.`);
    // Whoever made an asynchronous call has spent what its windows and its caller's limit ask for.
    const limits = due.trigger === 'async' ? concurrent(tenant.limits) : tenant.limits;
    let admission: Admission | null = null;
    if (limits !== null) admission = await options.admit(limits, meta, null, null, '');
    return await call(due, entry, slug, admission, await options.tracing);
  }

  function call(
    due: DueCall,
    entry: FunctionEntry,
    tenant: string,
    admission: Admission | null,
    tracing: Tracing | null,
  ): Promise<DueOutcome> {
    const { id, trigger, attempt, requestId, request } = due;
    const socket = new Nobody(request.address);
    const incoming = incomingOf(due, socket);
    const outgoing = new ClientAnswer(incoming);
    outgoing.assignSocket(socket);
    // What Node's server does for the connections that it has: it tells when there is room again, and of the end.
    socket.on('drain', () => outgoing.emit('drain'));
    outgoing.once('finish', () => socket.destroy());

    const headers = readHeaders(request.headers);
    const trace = tracing?.begin(incoming, headers, id, outgoing) ?? null;
    if (trace !== null) {
      trace.noted.tenant = tenant;
      trace.noted.address = request.address;
      if (trigger === 'async') trace.noted.route = '/api/v1/functions/:name/invoke';
    }
    headers.forwarded.push('x-execution-trigger', trigger, 'x-execution-attempt', String(attempt));
    const called: Called = { entry, tenant, trigger, path: request.path, params: null, trace };
    const principal: Principal | null = request.caller === null ? null : { tenant, ...request.caller };
    const description = describeCall(
      incoming,
      headers,
      called,
      principal,
      admission,
      id,
      requestId,
      options.mint,
    );

    return new Promise((resolve) => {
      let why = '';
      const ended = (row: ExecutionRow) => resolve({ row });
      const context: CallContext = {
        ...options.calls,
        notes: {
          ...options.calls.notes,
          done: (execution) => ended({ execution, secretsOf: null, complete: true }),
          handOver: ended,
        },
        failed(call, error) {
          why = error.message;
          options.calls.failed(call, error);
        },
      };
      outgoing.once('close', () => {
        admission?.release?.();
        // It is too late for this where it has ended.
        const code = outgoing.code ?? 'UNAVAILABLE';
        resolve({ refused: { code, message: why === '' ? `It was refused: ${code}.` : why } });
      });
      new Call(context, description, incoming, outgoing).start();
    });
  }

  return {
    async run(due) {
      running++;
      try {
        return await begin(due);
      } catch (error) {
        if (!(error instanceof HearthError)) throw error;
        return { refused: { code: error.code, message: error.message } };
      } finally {
        running--;
      }
    },
    size: () => running,
  };
}

/** Of a tenant's limits, that of what runs at once, and the month's CPU. */
function concurrent(limits: TenantLimits | null): TenantLimits | null {
  if (limits === null) return null;
  return { ...limits, policies: limits.policies.filter(({ name }) => name === 'concurrent') };
}

/** A request as Node would have read it from a client. */
function incomingOf({ request }: DueCall, socket: Socket): IncomingMessage {
  const incoming = new IncomingMessage(socket);
  incoming.httpVersion = '1.1';
  incoming.httpVersionMajor = 1;
  incoming.httpVersionMinor = 1;
  incoming.method = request.method;
  incoming.url = request.path;
  incoming.rawHeaders = request.headers;
  incoming.complete = true;
  if (request.body.length > 0) incoming.push(request.body);
  incoming.push(null);
  return incoming;
}

/** The client of a call that nobody waits for: takes whatever is written, and sends nothing. */
class Nobody extends Socket {
  override readonly remoteAddress: string;

  constructor(address: string) {
    super();
    this.remoteAddress = address;
  }

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    done();
  }

  override _writev(_chunks: unknown, done: (error?: Error | null) => void): void {
    done();
  }

  override _final(done: (error?: Error | null) => void): void {
    done();
  }
}
