/** Who follows which function's log at this router; the supervisor sends lines only while someone does. */
import type { LogLineMessage } from '../supervisor/protocol.js';

export interface LogFollowers {
  /** Calls back for each line from now on; the returned function ends it. */
  follow(functionId: string, onLine: (line: LogLineMessage) => void): () => void;
  deliver(functionId: string, lines: LogLineMessage[]): void;
  count(): number;
}

export function createLogFollowers(tell: (functionId: string, on: boolean) => void): LogFollowers {
  const followers = new Map<string, Set<(line: LogLineMessage) => void>>();
  return {
    follow(functionId, onLine) {
      let set = followers.get(functionId);
      if (set === undefined) {
        set = new Set();
        followers.set(functionId, set);
        tell(functionId, true);
      }
      set.add(onLine);
      return () => {
        if (!set.delete(onLine) || set.size > 0 || followers.get(functionId) !== set) return;
        followers.delete(functionId);
        tell(functionId, false);
      };
    },
    deliver(functionId, lines) {
      for (const onLine of followers.get(functionId) ?? []) for (const line of lines) onLine(line);
    },
    count() {
      let total = 0;
      for (const set of followers.values()) total += set.size;
      return total;
    },
  };
}
