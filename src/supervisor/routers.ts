/** The router processes: forked, spoken to, and forked again at once when one dies. */

import cluster, { type Worker } from 'node:cluster';
import type { Socket } from 'node:net';
import { messageOf, StartError } from '../errors.js';
import type { RouterConfig, RouterMethods, SupervisorMethods, ToRouter, ToSupervisor } from './protocol.js';
import { createRpc, type Rpc } from './rpc.js';

export interface RoutersOptions {
  count: number;
  /** The file that a router process runs. */
  entry: string;
  onError(error: unknown): void;
}

/** What routers are told, and who hears what they say. */
export interface RouterHandlers {
  config(router: number): RouterConfig;
  answer(router: number, method: keyof SupervisorMethods, params: unknown): unknown;
  onMessage(router: number, message: Exclude<ToSupervisor, { t: 'request' | 'reply' | 'hello' }>): void;
  /** It can be told things, and does not listen yet. */
  onUp(router: NewRouter): Promise<void>;
  onGone(router: number): void;
}

/** A router that has just been forked. */
export interface NewRouter extends Pick<RouterLink, 'ask'> {
  id: number;
  send(message: ToRouter): void;
}

interface RouterLink {
  ask<M extends keyof RouterMethods>(
    method: M,
    params: RouterMethods[M]['params'],
  ): Promise<RouterMethods[M]['value']>;
}

export interface Routers {
  /** Once: gives every router its configuration. Resolves when each of them listens. */
  serve(handlers: RouterHandlers): Promise<void>;
  send(router: number, message: ToRouter): void;
  broadcast(message: ToRouter): void;
  ask<M extends keyof RouterMethods>(
    router: number,
    method: M,
    params: RouterMethods[M]['params'],
    timeoutMs?: number,
  ): Promise<RouterMethods[M]['value']>;
  /** A client's connection. False: the router is not there any more. */
  give(router: number, connection: Socket): boolean;
  /** Asks every router that is up; one that dies or takes too long is left out. */
  askAll<M extends keyof RouterMethods>(
    method: M,
    params: RouterMethods[M]['params'],
    timeoutMs?: number,
  ): Promise<Map<number, RouterMethods[M]['value']>>;
  ids(): number[];
  /** Drains all: resolves when every router has ended. */
  drain(seconds: number): Promise<void>;
}

/** A router that dies so soon after its fork is forked again only after this long, in ms. */
const RESTART_PAUSE_MS = 1_000;
/** ms beyond the drain's own limit before a router is killed. */
const DRAIN_GRACE_MS = 5_000;

interface RunningRouter {
  worker: Worker;
  rpc: Rpc;
  /** It waits for its configuration. */
  ready: boolean;
  /** It has its configuration. */
  up: boolean;
  forkedAt: number;
}

/**
 * Forks all, at once. They load their code, which takes as long as the database takes to start, and then wait until
 * `serve` is called.
 */
export function startRouters(options: RoutersOptions): Routers {
  const routers = new Map<number, RunningRouter>();
  let handlers: RouterHandlers | null = null;
  let stopping = false;
  cluster.setupPrimary({
    exec: options.entry,
    args: [],
    execArgv: [
      // MiB: what a batch of executions needs fits into the young generation, and need not be copied to the old one.
      '--max-semi-space-size=64',
      // MiB before the first full collection: one during the start makes every later call dearer (decision 27).
      '--initial-old-space-size=128',
    ],
    serialization: 'advanced',
  });

  function fork(): Promise<void> {
    const worker = cluster.fork();
    const { id } = worker;
    const rpc = createRpc(
      (message) => post(worker, message),
      (method, params) => handlers?.answer(id, method as keyof SupervisorMethods, params),
    );
    const router: RunningRouter = { worker, rpc, ready: false, up: false, forkedAt: Date.now() };
    routers.set(id, router);
    return new Promise((resolve, reject) => {
      worker.on('message', (message: ToSupervisor) => {
        switch (message.t) {
          case 'request':
          case 'reply':
            rpc.handle(message);
            break;
          case 'hello':
            router.ready = true;
            configure(id, router);
            break;
          case 'up':
            resolve();
            handlers?.onMessage(id, message);
            break;
          default:
            handlers?.onMessage(id, message);
        }
      });
      worker.on('error', options.onError);
      worker.on('exit', (code, signal) => {
        routers.delete(id);
        rpc.close();
        handlers?.onGone(id);
        reject(new StartError('a router process ended while it started'));
        if (stopping) return;
        options.onError(`router process ${id} ended (${signal ?? `exit ${code}`}); another takes its place`);
        const pause = Date.now() - router.forkedAt < RESTART_PAUSE_MS ? RESTART_PAUSE_MS : 0;
        setTimeout(() => {
          if (!stopping) fork().catch(options.onError);
        }, pause);
      });
    });
  }

  function configure(id: number, router: RunningRouter) {
    const { worker, rpc } = router;
    if (handlers === null || !router.ready || router.up) return;
    post(worker, { t: 'config', config: handlers.config(id) });
    router.up = true;
    handlers
      .onUp({
        id,
        send: (message) => post(worker, message),
        ask: (method, params) => rpc.request(method, params) as never,
      })
      .catch((error: unknown) => {
        // The end of one is told elsewhere.
        if (!stopping && worker.isConnected()) options.onError(error);
      });
  }

  const listening = Promise.all(Array.from({ length: options.count }, fork)).then(() => {});
  listening.catch(() => {}); // whoever waits for it hears of the failure

  return {
    serve(given) {
      handlers = given;
      for (const [id, router] of routers) configure(id, router);
      return listening;
    },
    send(router, message) {
      const known = routers.get(router);
      if (known !== undefined) post(known.worker, message);
    },
    broadcast(message) {
      // One that is not up yet is told all there is when it is.
      for (const { worker, up } of routers.values()) if (up) post(worker, message);
    },
    give(router, connection) {
      const worker = routers.get(router)?.worker;
      if (worker === undefined || !worker.isConnected()) return false;
      worker.send({ t: 'connection' } satisfies ToRouter, connection, () => {});
      return true;
    },
    ask(router, method, params, timeoutMs) {
      const known = routers.get(router);
      if (known === undefined) return Promise.reject(new Error('that router is gone'));
      return known.rpc.request(method, params, timeoutMs) as never;
    },
    async askAll(method, params, timeoutMs) {
      const answers = new Map();
      await Promise.all(
        [...routers].map(async ([id, router]) => {
          if (!router.up) return;
          try {
            answers.set(id, await router.rpc.request(method, params, timeoutMs));
          } catch (error) {
            if (router.worker.isConnected()) options.onError(new Error(`router ${id}: ${messageOf(error)}`));
          }
        }),
      );
      return answers;
    },
    ids: () => [...routers.keys()],
    async drain(seconds) {
      stopping = true;
      await Promise.all(
        [...routers.values()].map(
          ({ worker, up }) =>
            new Promise<void>((resolve) => {
              const timer = setTimeout(() => worker.process.kill('SIGKILL'), seconds * 1000 + DRAIN_GRACE_MS);
              worker.once('exit', () => {
                clearTimeout(timer);
                resolve();
              });
              // One that has no configuration has nothing to finish, and may not hear yet.
              if (up && worker.isConnected())
                worker.send({ t: 'drain', seconds } satisfies ToRouter, () => {});
              else worker.process.kill('SIGKILL');
            }),
        ),
      );
    },
  };
}

/** A worker that has just died is noticed by 'exit'; what was for it is lost with it. */
function post(worker: Worker, message: unknown) {
  if (worker.isConnected()) worker.send(message as ToRouter, () => {});
}
