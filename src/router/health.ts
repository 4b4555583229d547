/** `/healthz` and `/readyz`: whether the process lives, and whether it can serve a call. */
import type { ServerResponse } from 'node:http';

export interface Readiness {
  functionsLoaded: boolean;
  draining: boolean;
  databaseUp: boolean;
}

/** Why no call can be served now; empty when one can. A node without its database serves what it knows. */
export function reasonsNotReady(state: Readiness): string[] {
  const reasons: string[] = [];
  if (!state.functionsLoaded) reasons.push('the functions are not loaded yet');
  if (state.draining) reasons.push('the node is draining');
  return reasons;
}

export function answerHealth(outgoing: ServerResponse, path: string, state: Readiness): void {
  const reasons = path === '/readyz' ? reasonsNotReady(state) : [];
  const body =
    path === '/healthz'
      ? JSON.stringify({ status: 'ok' })
      : JSON.stringify({
          status: reasons.length === 0 ? 'ready' : 'not ready',
          reasons,
          database: state.databaseUp ? 'up' : 'away',
        });
  const headers: string[] = [
    'content-type',
    'application/json',
    'content-length',
    String(Buffer.byteLength(body)),
  ];
  headers.push('cache-control', 'no-store');
  outgoing.writeHead(reasons.length === 0 ? 200 : 503, headers);
  outgoing.end(body);
}
