/** Notes when keys were last used, and writes that in batches: no call waits for it. */

export interface KeyUse {
  used(id: string, now: number): void;
  /** Writes what is noted. */
  stop(): Promise<void>;
}

/** A key's id, and when it was used, in Unix ms. */
export type UseRow = [id: string, at: number];

const EVERY_MS = 10_000;
const MAX_NOTED = 10_000;

export function startKeyUse(
  write: (rows: UseRow[]) => Promise<void>,
  onError: (error: unknown) => void,
): KeyUse {
  let noted = new Map<string, number>();
  let writing = Promise.resolve();

  async function flush() {
    if (noted.size === 0) return;
    const batch = noted;
    noted = new Map();
    try {
      await write([...batch]);
    } catch (error) {
      // With the next batch, then: what came since is newer.
      for (const [id, at] of batch) if (!noted.has(id) && noted.size < MAX_NOTED) noted.set(id, at);
      onError(error);
    }
  }

  function flushInTurn(): Promise<void> {
    writing = writing.then(flush);
    return writing;
  }

  const timer = setInterval(() => void flushInTurn(), EVERY_MS);
  return {
    used(id, now) {
      if (noted.size < MAX_NOTED || noted.has(id)) noted.set(id, now);
    },
    stop() {
      clearInterval(timer);
      return flushInTurn();
    },
  };
}
