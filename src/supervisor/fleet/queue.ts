/** A first-in, first-out queue whose members can also leave from the middle, each step in constant time. */

export interface Queue<T> {
  readonly length: number;
  push(key: string, item: T): void;
  peek(): T | undefined;
  shift(): T | undefined;
  remove(key: string): boolean;
  removeWhere(test: (item: T) => boolean): void;
  values(): Iterable<T>;
}

/** @param total of all queues that share it, kept by each of them. */
export function createQueue<T>(total: { length: number } = { length: 0 }): Queue<T> {
  // A Map keeps the order of insertion, and deleting from it leaves no hole to skip later.
  const items = new Map<string, T>();
  return {
    get length() {
      return items.size;
    },
    push(key, item) {
      if (!items.has(key)) total.length++;
      items.set(key, item);
    },
    peek: () => items.values().next().value,
    shift() {
      const first = items.entries().next().value;
      if (first === undefined) return undefined;
      items.delete(first[0]);
      total.length--;
      return first[1];
    },
    remove(key) {
      const there = items.delete(key);
      if (there) total.length--;
      return there;
    },
    removeWhere(test) {
      for (const [key, item] of items) {
        if (!test(item)) continue;
        items.delete(key);
        total.length--;
      }
    },
    values: () => items.values(),
  };
}
