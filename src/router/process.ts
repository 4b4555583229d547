/** The entry of a router process: it lives and dies with the supervisor that forked it. */
import { Socket } from 'node:net';
import { messageOf } from '../errors.js';
import { endLeftovers } from '../leftovers.js';
import type { RouterConfig, ToRouter, ToSupervisor } from '../supervisor/protocol.js';
import type { Env } from '../telemetry/asked.js';
import { type LoadingApi, type Router, startRouter } from './main.js';

/** ms after which a supervisor that was killed is gone, and what it was about to start is there. */
const LEFTOVERS_MS = 100;

/** @param env as the node was given it. */
export function runRouter(env: Env): void {
  // Ctrl-C reaches the whole process group; stopping is the supervisor's to order.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  const supervisor = process.ppid;
  process.on('disconnect', () => process.exit(0)); // node:cluster does so too, if it comes first
  process.on('exit', () => {
    if (process.connected) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LEFTOVERS_MS);
    if (process.ppid !== supervisor) endLeftovers(supervisor);
  });

  let receive: ((message: ToRouter) => void) | null = null;
  /** What comes while the router is being started; there is little of it. */
  let early: ToRouter[] = [];
  let router: Promise<Router> | null = null;
  const send = (message: ToSupervisor) => {
    if (process.connected) process.send?.(message);
  };

  const fail = (error: unknown) => {
    process.stderr.write(`hearth: a router did not start: ${messageOf(error)}\n`);
    process.exit(1);
  };

  // Loaded while the supervisor opens the database: there is nothing else to do until it sends the configuration.
  const api: LoadingApi = import('./api/listener.js');
  api.catch(fail);

  process.on('message', (message: ToRouter | { t: 'config'; config: RouterConfig }, connection: unknown) => {
    if (message.t === 'connection') {
      const given = connection instanceof Socket ? connection : null;
      void router?.then((started) => started.accept(given));
      return;
    }
    if (message.t === 'config') {
      const onMessage = (listener: (message: ToRouter) => void) => {
        receive = listener;
        for (const waiting of early) listener(waiting);
        early = [];
      };
      router = startRouter(message.config, { send, onMessage }, api, env);
      router.catch(fail);
      return;
    }
    if (message.t === 'drain') {
      void router?.then((started) => started.drain(message.seconds)).then(() => process.exit(0));
      return;
    }
    if (receive === null) early.push(message);
    else receive(message);
  });
  send({ t: 'hello' });
}
