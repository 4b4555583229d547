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

export function createQueue<T>(): Queue<T> {
  // A Map keeps the order of insertion, and deleting from it leaves no hole to skip later.
  const items = new Map<string, T>();
  return {
    get length() {
      return items.size;
    },
    push: (key, item) => void items.set(key, item),
    peek: () => items.values().next().value,
    shift() {
      const first = items.entries().next().value;
      if (first === undefined) return undefined;
      items.delete(first[0]);
      return first[1];
    },
    remove: (key) => items.delete(key),
    removeWhere(test) {
      for (const [key, item] of items) if (test(item)) items.delete(key);
    },
    values: () => items.values(),
  };
}
