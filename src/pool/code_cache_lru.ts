/** Entries in the order of their last use, counted in bytes. */

export interface ByteLru<T> {
  /** Counts as a use. */
  get(key: string): T | undefined;
  set(key: string, value: T, bytes: number): void;
  delete(key: string): void;
  bytes(): number;
  /** The keys, least recently used first, that must be deleted to be within the bound. */
  excess(): string[];
}

export function createByteLru<T>(maxBytes: number): ByteLru<T> {
  const entries = new Map<string, { value: T; bytes: number }>();
  let total = 0;
  const remove = (key: string) => {
    total -= entries.get(key)?.bytes ?? 0;
    entries.delete(key);
  };
  return {
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key); // a Map keeps the order of insertion
      entries.set(key, entry);
      return entry.value;
    },
    set(key, value, bytes) {
      remove(key);
      entries.set(key, { value, bytes });
      total += bytes;
    },
    delete: remove,
    bytes: () => total,
    excess() {
      const keys: string[] = [];
      let left = total;
      for (const [key, { bytes }] of entries) {
        if (left <= maxBytes) break;
        keys.push(key);
        left -= bytes;
      }
      return keys;
    },
  };
}
