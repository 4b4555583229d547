/** Lines of log on their way to the routers where someone follows them. */
import type { LogLine } from '../pool/messages.js';
import type { LogLineMessage, ToRouter } from './protocol.js';

export interface LiveLogs {
  follow(router: number, functionId: string, on: boolean): void;
  routerGone(router: number): void;
  onLog(functionId: string, executionId: string | null, lines: readonly LogLine[]): void;
}

export function createLiveLogs(send: (router: number, message: ToRouter) => void): LiveLogs {
  const followers = new Map<string, Set<number>>();

  function unfollow(router: number, functionId: string) {
    const routers = followers.get(functionId);
    routers?.delete(router);
    if (routers?.size === 0) followers.delete(functionId);
  }

  return {
    follow(router, functionId, on) {
      if (!on) return unfollow(router, functionId);
      const routers = followers.get(functionId) ?? new Set();
      followers.set(functionId, routers.add(router));
    },
    routerGone(router) {
      for (const functionId of [...followers.keys()]) unfollow(router, functionId);
    },
    onLog(functionId, executionId, lines) {
      const routers = followers.get(functionId);
      if (routers === undefined) return;
      const messages = lines.map(
        ([time, level, message]): LogLineMessage => ({
          execution_id: executionId,
          timestamp: new Date(time).toISOString(),
          level,
          message,
        }),
      );
      for (const router of routers) send(router, { t: 'logs', functionId, lines: messages });
    },
  };
}
