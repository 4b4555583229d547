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

/** @param count told of each that comes (1) or leaves (-1), for whoever counts those of several queues. */
export function createQueue<T>(count: (item: T, by: 1 | -1) => void = () => {}): Queue<T> {
  // A Map keeps the order of insertion, and deleting from it leaves no hole to skip later.
  const items = new Map<string, T>();
  return {
    get length() {
      return items.size;
    },
    push(key, item) {
      const before = items.get(key);
      if (before !== undefined) count(before, -1);
      items.set(key, item);
      count(item, 1);
    },
    peek: () => items.values().next().value,
    shift() {
      const first = items.entries().next().value;
      if (first === undefined) return undefined;
      items.delete(first[0]);
      count(first[1], -1);
      return first[1];
    },
    remove(key) {
      const item = items.get(key);
      if (item === undefined) return false;
      items.delete(key);
      count(item, -1);
      return true;
    },
    removeWhere(test) {
      for (const [key, item] of items) {
        if (!test(item)) continue;
        items.delete(key);
        count(item, -1);
      }
    },
    values: () => items.values(),
  };
}
